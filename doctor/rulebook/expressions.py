"""Conditions and arithmetic of rules: Jinja2's expression syntax, our own evaluation.

Jinja2 only parses (``parse``); what it gives is converted into plain nested lists over a closed list of node kinds, so
that a rule book can be cached as JSON and evaluated without Jinja2. Evaluation (``evaluate``) is three-valued and
bounded, and never raises: see ``doctor.rulebook.values`` for what absent and unknown values do.

======================================  ===================================================================
node                                    meaning
======================================  ===================================================================
``["const", value]``                    text, number, true, false, none (which means absent), list of these
``["path", "setting", "context"]``      a dotted name, looked up in the scope
``["member", node, key]``               ``node.key`` or ``node[0]`` of anything that is not a plain name
``["and", a, b, ...]``, ``["or", ...]``  Kleene's logic, from left to right
``["not", a]``                          Kleene's ``not``
``["neg", a]``                          ``-a``
``["if", test, a, b]``                  ``a if test else b``
``["compare", a, op, b, op, c, ...]``   chained as in Python
``["calc", op, a, b]``                  ``+ - * / //``
``["test", name, a, arguments]``        ``a is name(arguments)``
``["filter", name, a, arguments]``      ``a | name(arguments)``
======================================  ===================================================================

One difference from Jinja2: in a quoted text a backslash is an ordinary character unless it stands before a quote or
another backslash. ``x is match('\\bCUDA')`` means the regular expression that it looks like.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeAlias

from doctor.rulebook import values
from doctor.rulebook.functions import FILTERS, TESTS
from doctor.vocabulary.facts import ABSENT, Unknown

Node: TypeAlias = list[Any]

MAX_PROBLEM = 200


class ExpressionError(ValueError):
    """An expression that can't be used.

    Attributes:
        message: why.
        text: the expression.
        column: 1-based place in it, 0 when it is the whole.
    """

    def __init__(self, message: str, text: str, column: int = 0) -> None:
        place = f" at column {column}" if column else ""
        super().__init__(f"{message}{place} of {text[:120]!r}")
        self.message = message
        self.text = text
        self.column = column


class Scope(Protocol):
    """Where names get their values."""

    def resolve(self, path: tuple[str, ...]) -> Any:
        """The value of a dotted name: a value, ABSENT, or Unknown with the names of the facts that are missing."""


def parse(text: str) -> Node:
    """An expression as nested lists that JSON can hold.

    Raises:
        ExpressionError: it is not in the language, or too long or deep.
    """
    from doctor.rulebook.reader import read

    return read(text)


# --- for the lint ----------------------------------------------------------------------------------------------------


def names(node: Node) -> set[str]:
    """The dotted names that an expression uses: ``{"setting.context", "abort.op", "buffer"}``."""
    return {".".join(part[1:]) for part in _walk(node) if part[0] == "path"}


def fields(node: Node) -> set[tuple[str, str]]:
    """Fields of collections that an expression names: ``buffer | sum('bytes')`` gives ``{("buffer", "bytes")}``."""
    found = set()
    for part in _walk(node):
        match part:
            case ["member", whole, str(field)]:
                collection = _collection(whole)
            case ["filter", "of_kind", subject, _]:
                collection, field = _collection(subject), "kind"
            case [
                "filter",
                "sum" | "min" | "max" | "any" | "all" | "map" | "where",
                subject,
                [["const", str(field)], *_],
            ]:
                collection = _collection(subject)
            case _:
                continue
        if collection:
            found.add((collection, field))
    return found


def _collection(node: Node) -> str | None:
    """The name at the start of a chain such as ``buffer | of_kind('kv') | first``."""
    while True:
        match node:
            case ["path", name]:
                return str(name)
            case ["filter", _, subject, _]:
                node = subject
            case ["member", whole, int()]:
                node = whole
            case _:
                return None


def _walk(node: Node) -> Iterator[Node]:
    """This node and all below it."""
    yield node
    if node[0] in {"const", "path"}:
        return
    for part in node[1:]:
        if isinstance(part, list):
            for below in [part] if part and isinstance(part[0], str) else part:
                yield from _walk(below)


# --- evaluating ------------------------------------------------------------------------------------------------------


def evaluate(node: Node, scope: Scope, problems: list[str] | None = None) -> Any:
    """The value of a parsed expression: a value, ABSENT, or Unknown with the names of the missing facts.

    Never raises. What can't be computed (a division by zero, text times a number) is Unknown without a missing name,
    and a sentence about it is appended to ``problems``.

    ``and``, ``or`` and ``not`` give true, false or unknown, never an operand: with ``x`` unknown, ``x or 5`` is true
    but not 5. Another value for one that isn't there is ``x | default(5)``.
    """
    return _Evaluator(scope, [] if problems is None else problems).value(node)


class _Evaluator:
    def __init__(self, scope: Scope, problems: list[str]) -> None:
        self.scope = scope
        self.problems = problems

    def value(self, node: Node) -> Any:
        # Thousands of these in a check of many files: a chain of comparisons is a third of what `match` takes.
        kind = node[0] if node else None
        if kind == "path":
            found = self.scope.resolve(tuple(node[1:]))
            return ABSENT if found is None else found
        if kind == "const":
            return ABSENT if node[1] is None else node[1]
        if kind == "compare":
            return self.comparison(node[1], node[2:])
        if kind in {"and", "or"}:
            return self.logic(kind == "or", node[1:])
        if kind == "test" and node[1] in TESTS:
            return self.safely(TESTS[node[1]], self.value(node[2]), *map(self.value, node[3]))
        if kind == "filter" and node[1] in FILTERS:
            return self.safely(FILTERS[node[1]], self.value(node[2]), *map(self.value, node[3]))
        if kind == "calc":
            return self.safely(values.calculate, node[1], self.value(node[2]), self.value(node[3]))
        if kind == "member":
            return self.safely(values.member, self.value(node[1]), node[2])
        if kind == "if":
            return self.choice(node[1], node[2], node[3])
        if kind == "not":
            return values.negation(values.truth(self.value(node[1])))
        if kind == "neg":
            return self.safely(values.calculate, "-", 0, self.value(node[1]))
        self.problems.append(f"not an expression: {str(node)[:MAX_PROBLEM]}")
        return Unknown()

    def logic(self, decisive: bool, parts: list[Node]) -> bool | Unknown:
        """``and`` is decided by its first false operand, ``or`` by its first true one; the rest is not looked at."""
        seen: list[bool | Unknown] = []
        for part in parts:
            seen.append(values.truth(self.value(part)))
            if seen[-1] is decisive:
                return decisive
        unknown = values.missing(seen)
        return not decisive if unknown is None else unknown

    def choice(self, test: Node, first: Node, second: Node) -> Any:
        decided = values.truth(self.value(test))
        if not isinstance(decided, Unknown):
            return self.value(first if decided else second)
        a, b = self.value(first), self.value(second)
        known = values.missing((a, b)) is None
        return a if known and values.identical(a, b) else values.missing((decided, a, b))

    def comparison(self, first: Node, rest: list[Any]) -> bool | Unknown:
        """``a < b < c``: each pair in turn, each operand once."""
        answers: list[bool | Unknown] = []
        left = self.value(first)
        for comparison, operand in zip(rest[::2], rest[1::2], strict=True):
            right = self.value(operand)
            answers.append(self.safely(values.compare_values, comparison, left, right))
            left = right
        return values.conjunction(answers)

    def safely(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Values come out of logs: whatever is wrong with them must not end the diagnosis."""
        try:
            return function(*arguments)
        except ZeroDivisionError:
            problem = "division by zero"
        except Exception as error:
            problem = str(error) or type(error).__name__
        self.problems.append(problem[:MAX_PROBLEM])
        return Unknown()
