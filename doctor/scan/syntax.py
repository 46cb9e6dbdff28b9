"""A pattern as a tree about the bytes of one line: what the syntax tree of Python's ``re`` says, without what a scan
of whole blocks can't use.

Characters outside ASCII are their UTF-8 bytes, "any character" is one to four bytes, newline and carriage return are
in no class, look-around and back-references are gone. Each of these can only make the tree find more than the pattern
does, never less; where it may find more, the tree is not ``exact``.

Classes are those of ASCII: ``\\d \\w \\s \\b`` mean the digits, letters and blanks of an engine's own messages, and the
pattern itself is compiled with ``regex.ASCII`` to mean the same.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache

# The parser's tree has no public door. Its names have been stable since Python 3.11 and tests walk all of them.
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

ASCII = frozenset(range(128))
LINE_ENDS = frozenset(b"\n\r")
BOUNDARIES = {sre.AT_BOUNDARY: rb"\b", sre.AT_NON_BOUNDARY: rb"\B"}
_DIGITS = frozenset(b"0123456789")
_SPACES = frozenset(b" \t\n\r\f\v")
_WORDS = frozenset(c for c in ASCII if chr(c).isalnum() or chr(c) == "_")
_CATEGORIES = {sre.CATEGORY_DIGIT: _DIGITS, sre.CATEGORY_SPACE: _SPACES, sre.CATEGORY_WORD: _WORDS}
_NEGATED = {sre.CATEGORY_NOT_DIGIT: _DIGITS, sre.CATEGORY_NOT_SPACE: _SPACES, sre.CATEGORY_NOT_WORD: _WORDS}
_WIDEST_COUNT = 32  # a counted repeat costs an automaton that many states; a longer one becomes "at least so many"
_UTF8_BYTES = 4
KEPT = 8192  # patterns whose trees are remembered: a rule book's, a few times over


@dataclass(frozen=True, slots=True)
class Chars:
    """One character: some of ASCII and, with ``beyond``, characters outside of it, each of up to ``widest`` bytes.

    ``negated``: written as what it is not. That makes a difference where case is ignored.
    """

    ascii: frozenset[int]
    beyond: bool = False
    widest: int = _UTF8_BYTES
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Exactly:
    """Bytes of the form as they stand: a character outside ASCII, or a word boundary (then of no width)."""

    form: bytes
    width: int


@dataclass(frozen=True, slots=True)
class Repeat:
    body: Sequence
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    branches: tuple[Sequence, ...]


@dataclass(frozen=True, slots=True)
class Caseless:
    """A part under its own ``(?i:...)``."""

    body: Sequence


Node = Chars | Exactly | Repeat | Sequence | Either | Caseless
EMPTY = Sequence(())
ANYTHING = Repeat(Sequence((Chars(ASCII - LINE_ENDS, beyond=True, negated=True),)), 0, None)


@dataclass(frozen=True, slots=True)
class Tree:
    """A pattern's tree.

    Attributes:
        exact: it finds nothing that the pattern does not find (as far as single wide characters don't, see forms).
        ignore_case: the whole pattern stands under ``(?i)``.
        line_end: the pattern asks for a line end, which no line holds.
    """

    root: Sequence
    exact: bool
    ignore_case: bool
    line_end: bool


@lru_cache(maxsize=KEPT)
def parse(pattern: str) -> Any:
    """Python's own syntax tree of a pattern. Raises ``re.error``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return parser.parse(pattern, 0)
        except (OverflowError, RecursionError) as error:
            raise re.error(str(error) or "too deeply nested") from error


@lru_cache(maxsize=KEPT)
def read(pattern: str) -> Tree:
    """The tree of a pattern. Raises ``re.error`` when it does not parse."""
    parsed = parse(pattern)
    builder = _Builder()
    root = builder.sequence(parsed)
    return Tree(root, builder.exact, bool(parsed.state.flags & re.IGNORECASE), builder.line_end)


@cache
def _letter(code: int) -> Chars:
    return Chars(frozenset((code,)))


def single(body: Sequence) -> Chars | None:
    """The one character that a repeat repeats, if it is one."""
    only = body.items[0] if len(body.items) == 1 else None
    if isinstance(only, Sequence):
        return single(only)
    return only if isinstance(only, Chars) else None


class _Builder:
    def __init__(self) -> None:
        self.exact = True
        self.line_end = False

    def sequence(self, tree: Iterable[tuple[Any, Any]]) -> Sequence:
        return Sequence(tuple(node for op, argument in tree for node in self.nodes(op, argument)))

    def nodes(self, op: Any, argument: Any) -> Iterator[Node]:
        if op in (sre.LITERAL, sre.NOT_LITERAL, sre.IN, sre.ANY):
            yield from self.character(op, argument)
        elif op in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            self.exact &= op is not sre.POSSESSIVE_REPEAT
            yield self.repeat(*argument)
        elif op is sre.SUBPATTERN:
            _, add, _, body = argument
            inner = self.sequence(body)
            yield Caseless(inner) if add & re.IGNORECASE else inner
        elif op is sre.BRANCH:
            yield Either(tuple(self.sequence(branch) for branch in argument[1]))
        elif op is sre.AT and argument in BOUNDARIES:
            yield Exactly(BOUNDARIES[argument], 0)
        else:
            self.exact = False
            if op is sre.ATOMIC_GROUP:
                yield self.sequence(argument)
            elif op is sre.GROUPREF:
                yield ANYTHING
            elif op is sre.GROUPREF_EXISTS:
                yield Either((self.sequence(argument[1]), self.sequence(argument[2] or ())))
            # else look-around, ^ and $: they have no width, so that leaving them out finds more, never less

    def repeat(self, least: int, most: int, body: Any) -> Repeat:
        inner = self.sequence(body)
        top: int | None = None if most == sre.MAXREPEAT else most
        char = single(inner)
        if char is not None and char.beyond:
            # The pattern counts characters, the form counts bytes.
            self.exact &= top is None and least <= 1
            top = None if top is None else top * _UTF8_BYTES
        if top is not None and top > _WIDEST_COUNT:
            self.exact = False
            top = None
        if least > _WIDEST_COUNT:
            self.exact = False
            least = _WIDEST_COUNT
        return Repeat(inner, least, top)

    def character(self, op: Any, argument: Any) -> Iterator[Node]:
        if op is sre.LITERAL and argument > 127:
            data = chr(argument).encode("utf-8", "surrogatepass")
            yield Exactly(b"".join(b"\\x%02x" % byte for byte in data), len(data))
            return
        if op is sre.LITERAL and argument not in LINE_ENDS:
            yield _letter(argument)
            return
        if op is sre.LITERAL:
            chars = Chars(frozenset((argument,)))
        elif op is sre.NOT_LITERAL:
            self.exact &= argument < 128
            chars = Chars(ASCII - {argument}, beyond=True, negated=True)
        elif op is sre.ANY:
            chars = Chars(ASCII, beyond=True, negated=True)
        else:
            chars = self.chars(argument)
        if chars.beyond or chars.ascii - LINE_ENDS:
            yield replace(chars, ascii=chars.ascii - LINE_ENDS)
        else:
            self.exact = False
            self.line_end = True

    def chars(self, members: list[tuple[Any, Any]]) -> Chars:
        found: set[int] = set()
        all_beyond = some_beyond = False
        negated = members[0][0] is sre.NEGATE
        for op, argument in members[1:] if negated else members:
            if op is sre.CATEGORY and argument in _CATEGORIES:
                found |= _CATEGORIES[argument]
            elif op is sre.CATEGORY:
                found |= ASCII - _NEGATED[argument]
                all_beyond = True
            else:
                low, high = argument if op is sre.RANGE else (argument, argument)
                found.update(range(low, min(high, 127) + 1))
                some_beyond |= high > 127
        if some_beyond and not all_beyond:
            self.exact = False  # which of them is left to the pattern itself
        if negated:
            return Chars(ASCII - found, beyond=not all_beyond, negated=True)
        return Chars(frozenset(found), all_beyond or some_beyond, negated=all_beyond and len(members) == 1)
