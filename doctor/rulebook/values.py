"""What values mean in a rule's conditions: when they are true, equal, greater, and what their sum is.

Beside ordinary values there are two special ones, ``ABSENT`` (known not to be there) and ``Unknown`` (nothing said so;
it carries the names of the missing facts). Absence wins over ignorance, because whatever the unknown value is, the
answer stays the same:

==================  =========  ==================
operation           ABSENT     Unknown
==================  =========  ==================
truth               false      Unknown
any comparison      false      Unknown
arithmetic          ABSENT     Unknown
member              ABSENT     Unknown
==================  =========  ==================

"Any comparison" includes ``!=`` and ``not in``: of a thing that isn't there nothing holds. Whoever means "absent or
other" writes ``x is absent or x != 3``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from typing import Any

from doctor.versions import Version, compare
from doctor.vocabulary.facts import ABSENT, Record, Unknown

MAX_NUMBER = 1e30
MAX_TEXT = 10_000
_NUMBER = r"[-+]?[0-9]{1,31}(?:\.[0-9]{1,31})?"

_ORDERS: dict[str, Callable[[int], bool]] = {
    "<": lambda sign: sign < 0,
    "<=": lambda sign: sign <= 0,
    ">": lambda sign: sign > 0,
    ">=": lambda sign: sign >= 0,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
}
COMPARISONS = frozenset({"==", "!=", "in", "not in", *_ORDERS})
OPERATIONS = frozenset(_ARITHMETIC)


def truth(value: Any) -> bool | Unknown:
    """Whether a value counts as true: absent, 0, and empty text and lists don't."""
    if isinstance(value, Unknown):
        return value
    return bool(value)


def missing(values: Iterable[Any]) -> Unknown | None:
    """One Unknown with every name that the unknown ones among ``values`` miss; None when all are known."""
    unknown = [value for value in values if isinstance(value, Unknown)]
    return Unknown(frozenset().union(*(value.missing for value in unknown))) if unknown else None


def number(value: Any) -> int | float | None:
    """The number that a value is or spells (``"2048"``, an untyped capture), else None."""
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str) and len(value) < 80 and re.fullmatch(_NUMBER, text := value.strip()):
        return float(text) if "." in text else int(text)
    return None


def bounded(value: Any) -> int | float:
    """The number that a value is or spells.

    Raises:
        TypeError: it is none.
        ValueError: it is too big for anything a log can mean, or no real number.
    """
    found = number(value)
    if found is None:
        raise TypeError(f"{describe(value)} is not a number")
    if not abs(found) <= MAX_NUMBER:
        raise ValueError("a number beyond 1e30")
    return found


def equal(a: Any, b: Any) -> bool | Unknown:
    """Text is compared with its case; a number equals the text that spells it; versions by their order."""
    if isinstance(a, Version) or isinstance(b, Version):
        versions = _version(a), _version(b)
        if versions[0] is None or versions[1] is None:
            return False
        sign = compare(versions[0], versions[1])
        return Unknown() if sign is None else sign == 0
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and conjunction(equal(x, y) for x, y in zip(a, b, strict=True))
    if not (isinstance(a, str) and isinstance(b, str)):
        x, y = number(a), number(b)
        if x is not None and y is not None:
            return x == y
    return bool(a == b)


def identical(a: Any, b: Any) -> bool:
    """The same value of the same type: 0, 0.0, false and ``"0"`` are four."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(identical(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and bool(a == b)


def conjunction(parts: Iterable[bool | Unknown]) -> bool | Unknown:
    """Kleene's `and`."""
    seen = list(parts)
    unknown = missing(seen)
    return False if False in seen else True if unknown is None else unknown


def disjunction(parts: Iterable[bool | Unknown]) -> bool | Unknown:
    """Kleene's `or`."""
    seen = list(parts)
    unknown = missing(seen)
    return True if True in seen else False if unknown is None else unknown


def negation(part: bool | Unknown) -> bool | Unknown:
    """Kleene's `not`."""
    return part if isinstance(part, Unknown) else not part


def compare_values(comparison: str, a: Any, b: Any) -> bool | Unknown:
    """``a == b``, ``a < b``, ``a in b``, ...

    Raises:
        TypeError: the two can't be ordered, or ``b`` holds no elements.
    """
    if a is ABSENT or b is ABSENT:
        return False
    if (unknown := missing((a, b))) is not None:
        return unknown
    match comparison:
        case "==":
            return equal(a, b)
        case "!=":
            return negation(equal(a, b))
        case "in":
            return _contains(b, a)
        case "not in":
            return negation(_contains(b, a))
    sign = _order(a, b)
    return Unknown() if sign is None else _ORDERS[comparison](sign)


def calculate(operation: str, a: Any, b: Any) -> Any:
    """``a + b`` and so on. ``+`` joins two texts, and a text with a number unless it spells one itself.

    Raises:
        TypeError: not numbers.
        ValueError: out of bounds.
        ZeroDivisionError: what it says.
    """
    if a is ABSENT or b is ABSENT:
        return ABSENT
    if (unknown := missing((a, b))) is not None:
        return unknown
    if operation == "+" and _joins(a, b):
        return (str(a)[:MAX_TEXT] + str(b)[:MAX_TEXT])[:MAX_TEXT]
    return bounded(_ARITHMETIC[operation](bounded(a), bounded(b)))


def member(value: Any, key: Any) -> Any:
    """A field of a record, a value of a map, or an element of a list (by number).

    A field that the record's source did not give is unknown; a key or place that isn't there is absent.

    Raises:
        TypeError: ``value`` has no such parts.
    """
    if value is ABSENT or isinstance(value, Unknown):
        return value
    found: Any
    if isinstance(value, Record) and isinstance(key, str):
        found = value.fields[key] if key in value.fields else Unknown(frozenset({f"{value.kind}.{key}"}))
    elif isinstance(value, dict):
        found = value.get(key, value.get(str(key)))
    elif isinstance(value, list) and isinstance(key, int):
        found = value[key] if -len(value) <= key < len(value) else None
    else:
        raise TypeError(f"{describe(value)} has no part {key!r}")
    return ABSENT if found is None else found


def describe(value: Any) -> str:
    """What a value is, in words, for messages."""
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    if isinstance(value, (bool, int, float)):
        return f"the number {value:.6g}" if abs(value) <= MAX_NUMBER else "a number beyond 1e30"
    if isinstance(value, Record):
        return f"a {value.kind} record"
    return "a map" if isinstance(value, dict) else f"a {type(value).__name__.lower()}"


def _version(value: Any) -> Version | None:
    if isinstance(value, Version):
        return value
    return Version.parse(str(value)) if isinstance(value, (str, int, float)) else None


def _order(a: Any, b: Any) -> int | None:
    """-1, 0, 1, or None when two versions can't be ordered. Two texts that spell numbers compare as numbers."""
    if isinstance(a, Version) or isinstance(b, Version):
        first, second = _version(a), _version(b)
        if first is not None and second is not None:
            return compare(first, second)
    x, y = number(a), number(b)
    if x is not None and y is not None and x == x and y == y:  # noqa: PLR0124 - not a number differs from itself
        return (x > y) - (x < y)
    if isinstance(a, str) and isinstance(b, str):
        return (a > b) - (a < b)
    raise TypeError(f"{describe(a)} and {describe(b)} have no order")


def _joins(a: Any, b: Any) -> bool:
    if isinstance(a, str) and isinstance(b, str):
        return True
    text, other = (a, b) if isinstance(a, str) else (b, a)
    return isinstance(text, str) and number(text) is None and isinstance(other, (int, float, Version))


def _contains(container: Any, item: Any) -> bool | Unknown:
    if isinstance(container, list):
        return disjunction(equal(item, element) for element in container)
    if isinstance(container, dict):
        return item in container or str(item) in container
    if isinstance(container, str) and isinstance(item, str):
        return item in container
    raise TypeError(f"{describe(container)} cannot hold {describe(item)}")
