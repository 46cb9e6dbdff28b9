"""How tests and filters are registered, and what holds for all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from doctor.rulebook import values
from doctor.vocabulary.facts import ABSENT

F = TypeVar("F", bound=Callable[..., Any])


class WhenAbsent(Enum):
    """What a function makes of an absent subject (or argument)."""

    IS_FALSE = "false"
    IS_ABSENT = "absent"
    IS_EMPTY = "taken as an empty list"


@dataclass(frozen=True, slots=True)
class Function:
    """A registered test or filter.

    Attributes:
        gives: what it gives: bool, number, text, records, or value (an element or field, whatever its type).
        takes: least and greatest number of arguments after the subject.
        raw: it sees absent and unknown subjects itself.
        check: called with constant arguments when an expression is parsed; raises ValueError for wrong ones.
    """

    name: str
    doc: str
    run: Callable[..., Any]
    gives: str
    takes: tuple[int, int]
    absent: WhenAbsent
    raw: bool = False
    check: Callable[..., object] | None = None

    def __call__(self, subject: Any, *arguments: Any) -> Any:
        """Applies it. Raises TypeError or ValueError for subjects and arguments of the wrong type."""
        if not self.raw:
            if subject is ABSENT and self.absent is WhenAbsent.IS_EMPTY:
                subject = []
            if any(value is ABSENT for value in (subject, *arguments)):
                return False if self.absent is WhenAbsent.IS_FALSE else ABSENT
            if (unknown := values.missing((subject, *arguments))) is not None:
                return unknown
        return self.run(subject, *arguments)


TESTS: dict[str, Function] = {}
FILTERS: dict[str, Function] = {}


def _register(
    registry: dict[str, Function],
    absent: WhenAbsent,
    gives: str,
    *,
    takes: int | tuple[int, int] = 0,
    raw: bool = False,
    check: Callable[..., object] | None = None,
) -> Callable[[F], F]:
    def register(run: F) -> F:
        name = run.__name__.strip("_")
        doc = (run.__doc__ or "").partition("\n")[0]
        bounds = (takes, takes) if isinstance(takes, int) else takes
        registry[name] = Function(name, doc, run, gives, bounds, absent, raw, check)
        return run

    return register


def test(**options: Any) -> Callable[[F], F]:
    """Registers a test: of an absent subject it is false."""
    return _register(TESTS, WhenAbsent.IS_FALSE, "bool", **options)


def value_filter(gives: str, **options: Any) -> Callable[[F], F]:
    """Registers a filter of one value: absent stays absent."""
    return _register(FILTERS, WhenAbsent.IS_ABSENT, gives, **options)


def collection_filter(gives: str, **options: Any) -> Callable[[F], F]:
    """Registers a filter of collections: an absent one has no elements."""
    return _register(FILTERS, WhenAbsent.IS_EMPTY, gives, **options)
