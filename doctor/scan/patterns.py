"""What the scanner looks for: patterns of rules and dialects, and what makes a pattern unfit for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from doctor.scan.syntax import Chars, Node, Sequence

LEAST_LITERAL = 4
# `(?:cat){e<=1}` is approximate matching to `regex` and a literal brace to `re`; so is any brace before such a letter.
_FUZZY = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|(\{(?:[eisd]|\d+<)[^}]*\})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern over one line.

    Attributes:
        key: names its hits.
        pattern: Python ``re`` syntax with named captures; classes are those of ASCII.
        dense: a line a request or more often; sampled on big inputs.
    """

    key: str
    pattern: str
    ignore_case: bool = False
    dense: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """What is compiled for the scan, in the syntax that hyperscan and ``re`` (on bytes) share.

    Attributes:
        expression: empty for a pattern that matches anything.
        exact: a line in which it is found is one that the pattern matches.
        texts: literal texts that are in every line that the pattern matches, in lower case.
    """

    expression: bytes
    exact: bool
    texts: tuple[bytes, ...] = ()


def scan_form(pattern: str) -> bytes:
    """The form in which blocks are searched for the pattern: on every line it finds at least what the pattern finds.

    Raises:
        re.error: the pattern does not parse.
    """
    from doctor.scan.forms import derive

    return derive(pattern).expression


def check(pattern: str) -> list[str]:
    """What is wrong with a pattern, in sentences for its author; empty when nothing is."""
    from doctor.scan import forms, syntax

    try:
        tree = syntax.read(pattern)
        form = forms.derive(pattern)
    except re.error as error:
        return [f"does not parse: {error}"]
    problems = list(_refused(pattern))
    if not form.expression:
        problems.append("matches anything, even an empty line")
    elif (strength := int(forms.strength(pattern))) < LEAST_LITERAL:
        problems.append(
            f"has no literal text of {LEAST_LITERAL} characters that every match holds (longest: {strength}): "
            "can't be searched for fast"
        )
    if _anchored(syntax.parse(pattern)):
        problems.append("is anchored at the start of the line, where containers and journals put their prefixes")
    if tree.line_end:
        problems.append("asks for a line end; patterns are matched within one line")
    if "\ufffd" in pattern:
        problems.append("holds U+FFFD, which stands for undecodable bytes and is not in the log itself")
    if any(_explodes(node) for node in _repeats(tree.root)):
        problems.append("nests repeats that can share the same text in many ways: a near miss may take for ever")
    if form.expression and not problems:
        problems += _uncompilable(form.expression)
    return problems


def _refused(pattern: str) -> Iterator[str]:
    import regex

    for found in _FUZZY.finditer(pattern):
        if found[1]:
            yield f"has a brace that means approximate matching: write \\{found[1]}"
    if re.search(r"\[\[:\^?\w+:\]", pattern):
        yield "uses a POSIX class such as [[:alpha:]], which `re` and `regex` read differently"
    try:
        regex.compile(pattern, regex.ASCII)
    except (regex.error, ValueError) as error:
        yield f"is not accepted by `regex` with ASCII classes: {error}"


def _uncompilable(expression: bytes) -> Iterator[str]:
    try:
        import hyperscan
    except ImportError:
        return
    try:
        hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK).compile(expressions=[expression], flags=[0])
    except hyperscan.HyperscanError as error:
        yield f"its scan form {expression.decode()} is not accepted by hyperscan: {error}"


def _anchored(tree: Any) -> bool:
    """Whether every way to match begins at the start of the line."""
    from re import _constants as sre  # type: ignore[attr-defined]

    for op, argument in tree:
        if op is sre.AT and argument in (sre.AT_BEGINNING, sre.AT_BEGINNING_STRING):
            return True
        if op is sre.SUBPATTERN:
            return _anchored(argument[3])
        if op is sre.BRANCH:
            return all(_anchored(branch) for branch in argument[1])
        if op not in (sre.AT, sre.ASSERT, sre.ASSERT_NOT):
            return False
    return False


# --- repeats within repeats ----------------------------------------------------------------------------------------


def _inner(node: Node) -> tuple[Node, ...]:
    from doctor.scan.syntax import Caseless, Either, Repeat, Sequence

    if isinstance(node, Sequence):
        return node.items
    if isinstance(node, Either):
        return node.branches
    return (node.body,) if isinstance(node, Repeat | Caseless) else ()


def _repeats(node: Node) -> Iterator[Node]:
    from doctor.scan.syntax import Repeat

    if isinstance(node, Repeat) and node.most is None:
        yield node
    for inner in _inner(node):
        yield from _repeats(inner)


def _explodes(outer: Node) -> bool:
    """Whether a repeat without a bound holds another one with nothing between two turns that the other can't take.

    ``(?:\\w+\\s*)+`` splits a word in exponentially many ways; ``(?:\\w+, )+`` in one, because of the comma.
    """
    from doctor.scan.syntax import Repeat

    assert isinstance(outer, Repeat)  # noqa: S101 - for the type checker
    for branch in _ways(outer.body):
        for position, node in enumerate(branch):
            for repeat in _repeats(node):
                others = [*branch[:position], *branch[position + 1 :]]
                if not any(_needed(other) and _chars(other).isdisjoint(_chars(repeat)) for other in others):
                    return True
    return False


def _ways(sequence: Sequence) -> list[tuple[Node, ...]]:
    from doctor.scan.syntax import Either
    from doctor.scan.syntax import Sequence as Nodes

    if len(sequence.items) == 1:
        only = sequence.items[0]
        if isinstance(only, Nodes):
            return _ways(only)
        if isinstance(only, Either):
            return [way for branch in only.branches for way in _ways(branch)]
    return [sequence.items]


def _needed(node: Node) -> bool:
    """Whether every match has something of it."""
    from doctor.scan.syntax import Chars, Either, Exactly, Repeat

    if isinstance(node, Chars):
        return True
    if isinstance(node, Exactly):
        return node.width > 0
    if isinstance(node, Repeat):
        return node.least > 0 and _needed(node.body)
    test: Callable[[Iterator[bool]], bool] = all if isinstance(node, Either) else any
    return test(_needed(inner) for inner in _inner(node))


def _chars(node: Node) -> frozenset[int]:
    """All characters that may be in it; 128 stands for those outside ASCII."""
    from doctor.scan.syntax import Chars, Exactly

    if isinstance(node, Chars):
        chars: Chars = node
        return chars.ascii | (frozenset((128,)) if chars.beyond else frozenset())
    if isinstance(node, Exactly):
        return frozenset((128,)) if node.width else frozenset()
    return frozenset().union(*(_chars(inner) for inner in _inner(node)))
