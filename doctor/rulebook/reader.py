"""Reads an expression with Jinja2's parser and turns it into the plain nodes that ``expressions`` evaluates.

Apart from the evaluator, because it is needed only when a rule file has changed.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from jinja2 import Environment, TemplateSyntaxError
from jinja2 import nodes as jinja
from jinja2.lexer import Lexer, Token, TokenStream, describe_token
from jinja2.parser import Parser

from doctor.rulebook import values
from doctor.rulebook.expressions import ExpressionError, Node
from doctor.rulebook.functions import FILTERS, TESTS, Function

MAX_EXPRESSION = 4000
MAX_CONSTANT = 1000
MAX_DEPTH = 30

_COMPARISONS = {
    "eq": "==", "ne": "!=", "lt": "<", "lteq": "<=", "gt": ">", "gteq": ">=", "in": "in", "notin": "not in",
}  # fmt: skip
_CALCULATIONS = {"Add": "+", "Sub": "-", "Mul": "*", "Div": "/", "FloorDiv": "//"}
_REFUSED = {
    "Call": "calls are not possible: use a test (`x is match('...')`) or a filter (`x | round`)",
    "Pow": "`**` is not possible",
    "Mod": "`%` is not possible",
    "Concat": "`~` is not possible",
    "Pos": "a leading `+` is not possible",
    "Tuple": "a list is written with square brackets",
    "Dict": "maps are not possible",
    "Slice": "slices are not possible",
}
_INSTEAD = {"defined": "present", "undefined": "absent", "none": "absent", "contains": "match"}


def read(text: str) -> Node:
    """An expression as nested lists that JSON can hold.

    Raises:
        ExpressionError: it is not in the language, or too long or deep.
    """
    if len(text) > MAX_EXPRESSION:
        raise ExpressionError(f"longer than {MAX_EXPRESSION} characters", text)
    if not text.strip():
        raise ExpressionError("an empty expression", text)
    environment = _environment()
    try:
        parser = Parser(environment, "", state="variable")
        parser.stream = TokenStream(_tokens(environment.lexer, re.sub(r"[\r\n]", " ", text)), None, None)
        tree = parser.parse_expression()
        rest = None if parser.stream.eos else parser.stream.current
    except TemplateSyntaxError as error:
        raise ExpressionError(_reason(error), text, error.lineno) from None
    except RecursionError:
        raise ExpressionError("nested too deeply", text) from None
    except (ValueError, OverflowError, SyntaxError):
        raise ExpressionError("not a number that can be read", text) from None
    if rest is not None:
        trap = re.search(r"\bis\s+(?:not\s+)?\w+\s+if\b", text)  # Jinja2 takes `if` for the test's argument
        hint = " (put the test in brackets: `a if (x is rpc) else b`)" if trap else ""
        raise ExpressionError(f"unexpected {describe_token(rest)!r}{hint}", text, rest.lineno)
    return _Reader(text).read(tree, 1)


@cache
def _environment() -> Environment:
    return Environment(autoescape=False)  # noqa: S701 - nothing is rendered


def _reason(error: TemplateSyntaxError) -> str:
    """Jinja2's message, which speaks of a template where there is only an expression."""
    message = re.sub(r" at \d+$", "", error.message or "not an expression").rstrip(".")
    return message.replace("end of template", "end")


def _tokens(lexer: Lexer, text: str) -> Iterator[Token]:
    """Jinja2's tokens, with the column where the line number would be, and quoted text taken nearly as it stands."""

    def located() -> Iterator[tuple[int, str, str]]:
        column = 1
        try:
            for _line, kind, raw in lexer.tokeniter(text, None, None, "variable"):
                value = raw
                if kind == "string":
                    value = '"' + re.sub(r"\\(['\"\\])", r"\1", raw[1:-1]).replace("\\", "\\\\") + '"'
                yield column, kind, value
                column += len(raw)
        except TemplateSyntaxError as error:
            error.lineno = column
            raise

    return lexer.wrap(located())


class _Reader:
    """Converts Jinja2's tree. Everything that is not listed here is refused."""

    def __init__(self, text: str) -> None:
        self.text = text

    def error(self, message: str, node: jinja.Node) -> ExpressionError:
        return ExpressionError(message, self.text, node.lineno or 0)

    def read(self, node: Any, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self.error(f"nested more than {MAX_DEPTH} deep", node)
        kind = type(node).__name__
        below = depth + 1
        match kind:
            case "Const" | "List":
                return ["const", self.constant(node, depth)]
            case "Name":
                return ["path", self.name(node.name, node)]
            case "Getattr":
                return self.member(self.operand(node.node, below), self.name(node.attr, node), node)
            case "Getitem":
                return self.member(self.operand(node.node, below), self.key(node.arg), node)
            case "And" | "Or":
                return [kind.lower(), *(self.read(part, below) for part in _operands(node))]
            case "Not":
                return ["not", self.read(node.node, below)]
            case "Neg":
                part = self.operand(node.node, below)
                negative = part[0] == "const" and isinstance(part[1], (int, float)) and not isinstance(part[1], bool)
                return ["const", -part[1]] if negative else ["neg", part]
            case "CondExpr":
                other = ["const", None] if node.expr2 is None else self.read(node.expr2, below)
                return ["if", self.read(node.test, below), self.read(node.expr1, below), other]
            case "Compare":
                return self.comparison(node, below)
            case "Test" | "Filter":
                return self.function(kind.lower(), node, below)
        if kind in _CALCULATIONS:
            return ["calc", _CALCULATIONS[kind], self.operand(node.left, below), self.operand(node.right, below)]
        raise self.error(_REFUSED.get(kind, f"{kind} is not possible"), node)

    def operand(self, node: Any, depth: int) -> Node:
        """A part that is used for its value, not for its truth."""
        part = self.read(node, depth)
        if part[0] in {"and", "or"}:
            raise self.error(f"`{part[0]}` gives true or false: for another value write `x | default(y)`", node)
        return part

    def name(self, name: str, node: jinja.Node) -> str:
        if name.startswith("_"):
            raise self.error(f"{name!r}: names do not begin with an underscore", node)
        return name

    def key(self, node: Any) -> str | int:
        key = self.constant(node, 1) if type(node).__name__ in {"Const", "Neg"} else None
        if isinstance(key, bool) or not isinstance(key, (str, int)):
            raise self.error(_REFUSED["Slice"] if type(node).__name__ == "Slice" else "a subscript is constant", node)
        return self.name(key, node) if isinstance(key, str) else key

    def member(self, whole: Node, key: str | int, node: jinja.Node) -> Node:
        if whole[0] == "const":
            raise self.error("a constant has no parts", node)
        return [*whole, key] if whole[0] == "path" and isinstance(key, str) else ["member", whole, key]

    def constant(self, node: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise self.error(f"nested more than {MAX_DEPTH} deep", node)
        match type(node).__name__:
            case "List":
                return [self.constant(item, depth + 1) for item in node.items]
            case "Neg":
                value = self.constant(node.node, depth + 1)
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    return -value
            case "Const":
                value = node.value
                if isinstance(value, str) and len(value) > MAX_CONSTANT:
                    raise self.error(f"a text of more than {MAX_CONSTANT} characters", node)
                if isinstance(value, (int, float)) and not abs(value) <= values.MAX_NUMBER:
                    raise self.error("a number beyond 1e30", node)
                if value is None or isinstance(value, (str, int, float)):
                    return value
        raise self.error("a list holds constants only", node)

    def comparison(self, node: Any, depth: int) -> Node:
        parts: Node = [self.operand(node.expr, depth)]
        for operand in node.ops:
            parts += [_COMPARISONS[operand.op], self.operand(operand.expr, depth)]
        if ["const", None] in parts:
            raise self.error("nothing equals none: write `x is absent` or `x is present`", node)
        return ["compare", *parts]

    def function(self, kind: str, node: Any, depth: int) -> Node:
        registry = TESTS if kind == "test" else FILTERS
        function = registry.get(node.name)
        if function is None:
            near = _INSTEAD.get(node.name) or next(iter(difflib.get_close_matches(node.name, registry, 1)), None)
            raise self.error(f"no {kind} {node.name!r}" + (f": did you mean {near!r}?" if near else ""), node)
        if node.kwargs or node.dyn_args or node.dyn_kwargs:
            raise self.error(f"the arguments of {node.name!r} have no names", node)
        least, most = function.takes
        if not least <= len(node.args) <= most:
            wants = str(least) if least == most else f"{least} to {most}"
            raise self.error(f"{node.name!r} takes {wants} arguments, not {len(node.args)}", node)
        arguments = [self.operand(argument, depth) for argument in node.args]
        self.check(function, arguments, node)
        return [kind, node.name, self.operand(node.node, depth), arguments]

    def check(self, function: Function, arguments: list[Node], node: jinja.Node) -> None:
        if function.check and all(argument[0] == "const" for argument in arguments):
            try:
                function.check(*(argument[1] for argument in arguments))
            except (ValueError, TypeError, AttributeError) as error:
                raise self.error(str(error), node) from None


def _operands(node: Any) -> list[Any]:
    """``a or b or c``, which Jinja2 nests to the left, as one list: a rule may name many alternatives."""
    parts = []
    kind = type(node)
    while type(node) is kind:
        parts.append(node.right)
        node = node.left
    return [node, *reversed(parts)]
