"""Prose with numbers in it: ``The cache of {{ need | size }} does not fit.``

A template is plain text, ``{{ expression }}`` and ``{% if %} {% elif %} {% else %} {% endif %}``, with Jinja2's syntax
and the names, tests and filters of the conditions. It is compiled to plain lists (``compile``) that the rule book's
cache carries, and rendered by the same evaluator as the conditions: a sentence can't say something else than the
condition that it explains, nothing of Jinja2 runs at that time (importing it costs 60 ms), and there is no loop, call
or attribute that would have to be fenced in. A value that isn't known reads ``unknown``, one that isn't there ``none``.

A dash inside a tag (``{%- if x -%}``) eats the white space on that side, as in Jinja2.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeAlias

from doctor.rulebook import expressions, values
from doctor.rulebook.expressions import Node, Scope
from doctor.vocabulary.facts import ABSENT, Record, Unknown

# A text, ["value", node], or ["choose", [[node, parts], ...], parts of else].
Part: TypeAlias = str | list[Any]

MAX_TEMPLATE = 8192
MAX_OUTPUT = 8192
MAX_VALUE = 2000
MAX_ELEMENTS = 50


def compile(template: str) -> list[Part]:
    """A template as literal texts and parsed expressions, in lists that JSON can hold.

    Raises:
        ExpressionError: a tag or an expression in it is wrong, or the template is too long.
    """
    if "{{" not in template and "{%" not in template and len(template) <= MAX_TEMPLATE:
        return [template]
    from doctor.rulebook.template import cut

    return cut(template)


def render(template: str, scope: Scope, compiled: list[Part] | None = None, problems: list[str] | None = None) -> str:
    """The text of a template, at most 8 KiB. An `if` whose condition is unknown takes its `else`.

    Args:
        template: its text.
        scope: where names get their values.
        compiled: what ``compile`` made of it, where that is at hand.
        problems: gets a sentence for everything that could not be computed.

    Raises:
        ExpressionError: the text is no template, and it was not compiled. Values never make it raise.
    """
    parts = _compiled(template) if compiled is None else compiled
    return _cut("".join(format_value(part) for part in _pieces(parts, scope, problems)), MAX_OUTPUT)


def fill(template: str, scope: Scope, compiled: list[Part] | None = None) -> str | None:
    """The text of a template for a setting's value: None when something in it isn't known or isn't there.

    Raises:
        ExpressionError: as for ``render``.
    """
    pieces = list(_pieces(_compiled(template) if compiled is None else compiled, scope, None))
    if any(piece is ABSENT or isinstance(piece, Unknown) for piece in pieces):
        return None
    return _cut("".join(format_value(piece) for piece in pieces), MAX_OUTPUT)


def nodes(parts: list[Part]) -> Iterator[Node]:
    """Every expression of a compiled template, for the lint."""
    for part in parts:
        if isinstance(part, str):
            continue
        if part[0] == "value":
            yield part[1]
        else:
            for condition, below in part[1]:
                yield condition
                yield from nodes(below)
            yield from nodes(part[2])


def format_value(value: Any) -> str:
    """A value as prose shows it: floats without noise, lists joined by commas, versions as printed."""
    if isinstance(value, Unknown):
        return "unknown"
    if value is ABSENT or value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _format_float(value)
    if isinstance(value, list):
        shown = [format_value(element) for element in value[:MAX_ELEMENTS]]
        text = ", ".join(shown) + (", …" if len(value) > MAX_ELEMENTS else "") if value else "none"
    elif isinstance(value, dict):
        text = format_value([f"{key}={format_value(element)}" for key, element in value.items()])
    elif isinstance(value, Record):
        text = str(value.get("name") or value.get("device") or value.get("path") or value.kind)
    else:
        text = str(value)
    return _cut(text, MAX_VALUE)


def _format_float(value: float) -> str:
    """At most three decimals; small numbers with three digits that count."""
    if value != value or abs(value) > values.MAX_NUMBER:  # noqa: PLR0124 - not a number differs from itself
        return "unknown"
    if 0 < abs(value) < 0.1:
        return f"{value:.3g}"
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


@lru_cache(maxsize=256)
def _compiled(template: str) -> list[Part]:
    return compile(template)


def _pieces(parts: list[Part], scope: Scope, problems: list[str] | None) -> Iterator[Any]:
    """Literal texts and values, in their order."""
    for part in parts:
        if isinstance(part, str):
            yield part
        elif part[0] == "value":
            yield expressions.evaluate(part[1], scope, problems)
        else:
            for condition, below in part[1]:
                if values.truth(expressions.evaluate(condition, scope, problems)) is True:
                    yield from _pieces(below, scope, problems)
                    break
            else:
                yield from _pieces(part[2], scope, problems)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
