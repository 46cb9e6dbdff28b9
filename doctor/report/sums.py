"""Arithmetic as a person would write it down: the formula in words, then with the numbers in it.

``have = host.ram_total + (host.swap_total if host.swap_total is present else 0)`` becomes
``have = ram_total + swap_total = 1007.6 GiB + 8.0 GiB``. Only plain sums are shown so, and only after the numbers were
put in and gave the very value that the rule computed; roundings, filters and figures of two kinds of units are not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import isclose
from typing import TYPE_CHECKING, Any

from doctor.units import format_size, format_size_both

if TYPE_CHECKING:
    from doctor.vocabulary.document import Computed

_TOKEN = re.compile(r"\s*(?:(?P<name>[a-z_][\w.]*)|(?P<number>\d+(?:\.\d+)?)|(?P<sign>[-+*/()]))", re.I)
_CHOICE = re.compile(r"\((?P<then>[^()]+?) if (?P<if>[^()]+?) else (?P<else>[^()]+?)\)")
_NAMES = re.compile(r"[a-z_][\w.]*", re.I)
_SIGNS = {"+": "+", "-": "−", "*": "×", "/": "/"}
_MOST_TOKENS = 40


def written(item: Computed, unit_of: Callable[[str, Any], str]) -> tuple[str, str] | None:
    """The formula in words and the formula in numbers; None for what is not a plain sum.

    Args:
        unit_of: the unit of a named value.
    """
    expression = _chosen(item.expression, item.inputs)
    tokens = _tokens(expression)
    value = _value(tokens, item.inputs) if len(tokens) >= 3 else None
    if value is None or not isinstance(item.value, (int, float)) or not isclose(value, item.value, rel_tol=1e-3):
        return None
    words, numbers = [], []
    alike = item.unit == "bytes" and all(kind == "name" or text in {"+", "-"} for kind, text in tokens)
    for kind, text in tokens:
        if kind == "name":
            words.append(short_name(text))
            value = item.inputs[text]
            is_size = alike or unit_of(text, value) == "bytes"  # what is added up to bytes is bytes
            numbers.append(format_size(value) if is_size else quantity(value, ""))
        else:
            shown = _SIGNS.get(text, text) if kind == "sign" else text
            words.append(shown)
            numbers.append(shown)
    return _joined(words), _joined(numbers)


def short_name(name: str) -> str:
    """``host.ram_total`` -> ``ram_total``."""
    return name.rpartition(".")[2]


def quantity(value: Any, unit: str) -> str:
    """A figure with its unit as a person reads it: bytes as GiB with GB, thousands apart."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if unit == "bytes" and isinstance(value, (int, float)):
        return format_size_both(value)
    if isinstance(value, int) and abs(value) >= 10_000:
        return f"{value:,} {unit}".strip().replace(",", " ")
    if isinstance(value, list):
        return ", ".join(str(element) for element in value[:6])
    return f"{value} {unit}".strip()


def _chosen(expression: str, inputs: Mapping[str, Any]) -> str:
    """Without its `a if b else c`: the branch that was taken is the one whose names all have a value."""
    text = f"({expression})"
    while choice := _CHOICE.search(text):
        taken = choice["then"] if all(name in inputs for name in _NAMES.findall(choice["then"])) else choice["else"]
        text = text[: choice.start()] + taken + text[choice.end() :]
    return text[1:-1] if text[0] == "(" else text  # a choice that was all of it took the brackets along


def _tokens(expression: str) -> list[tuple[str, str]]:
    """Names, numbers and signs; empty when there is anything else, or too much."""
    found: list[tuple[str, str]] = []
    at, text = 0, expression.rstrip()
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None or token.lastgroup is None or len(found) >= _MOST_TOKENS:
            return []
        found.append((token.lastgroup, token[token.lastgroup]))
        at = token.end()
    return found


def _value(tokens: list[tuple[str, str]], inputs: Mapping[str, Any]) -> float | None:
    """What the sum gives; None when it is not one."""
    rest = list(reversed(tokens))

    def factor() -> float:
        kind, text = rest.pop()
        if text == "(":
            inner = total()
            if rest.pop()[1] != ")":
                raise ValueError(text)
            return inner
        value = inputs[text] if kind == "name" else float(text) if "." in text else int(text)
        if kind == "sign" or isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(text)
        return value

    def product() -> float:
        value = factor()
        while rest and rest[-1][1] in "*/":
            sign, other = rest.pop()[1], factor()
            value = value * other if sign == "*" else value / other
        return value

    def total() -> float:
        value = product()
        while rest and rest[-1][1] in "+-":
            sign, other = rest.pop()[1], product()
            value = value + other if sign == "+" else value - other
        return value

    try:
        value = total()
    except (IndexError, KeyError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return None if rest else value


def _joined(parts: list[str]) -> str:
    return " ".join(parts).replace("( ", "(").replace(" )", ")")
