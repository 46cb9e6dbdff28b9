"""Filters of collections: lists of records such as ``buffer`` and ``device``, and plain lists of numbers.

A field that a record's source did not give is unknown, so a sum over it is unknown too; one that is known to be absent
is left out.
"""

from __future__ import annotations

from typing import Any

from doctor.rulebook import values
from doctor.rulebook.devices import is_cpu, is_gpu, is_rpc, place
from doctor.rulebook.registry import collection_filter
from doctor.vocabulary.facts import ABSENT, Unknown


def _elements(subject: Any) -> list[Any]:
    if not isinstance(subject, list):
        raise TypeError(f"{values.describe(subject)} is not a collection")
    return subject


@collection_filter("records", takes=1)
def _of_kind(records: Any, kind: Any) -> list[Any]:
    """Those of that kind: `buffer | of_kind('kv')`."""
    return _where(records, "kind", kind)


@collection_filter("records", takes=1)
def _on(records: Any, device: Any) -> list[Any]:
    """Those on that device: `buffer | on('CUDA0')`."""
    return [element for element in _elements(records) if place(element) == device]


@collection_filter("records", takes=2)
def _where(records: Any, field: str, value: Any) -> list[Any]:
    """Those whose field has that value; those that lack the field are left out."""
    return [element for element in _elements(records) if values.equal(values.member(element, field), value) is True]


@collection_filter("records")
def _on_rpc(records: Any) -> list[Any]:
    """Those on RPC workers."""
    return [element for element in _elements(records) if is_rpc(place(element))]


@collection_filter("records")
def _on_gpu(records: Any) -> list[Any]:
    """Those on GPUs of this machine."""
    return [element for element in _elements(records) if is_gpu(place(element))]


@collection_filter("records")
def _on_cpu(records: Any) -> list[Any]:
    """Those in the host's memory."""
    return [element for element in _elements(records) if is_cpu(place(element))]


# --- filters that sum a collection up --------------------------------------------------------------------------------


def _column(subject: Any, field: str | None) -> list[Any] | Unknown:
    """The field of every element (the elements themselves without a field); absent ones are left out."""
    elements = _elements(subject)
    column = elements if field is None else [values.member(element, field) for element in elements]
    unknown = values.missing(column)
    return unknown if unknown is not None else [value for value in column if value is not ABSENT]


def _numbers(subject: Any, field: str | None) -> list[int | float] | Unknown:
    column = _column(subject, field)
    return column if isinstance(column, Unknown) else [values.bounded(value) for value in column]


@collection_filter("number")
def _count(elements: Any) -> int:
    """How many there are."""
    return len(_elements(elements))


@collection_filter("number", takes=(0, 1))
def _sum(elements: Any, field: str | None = None) -> Any:
    """The sum of a field, 0 when there is no element: `buffer | on('CUDA0') | sum('bytes')`."""
    numbers = _numbers(elements, field)
    return numbers if isinstance(numbers, Unknown) else values.bounded(sum(numbers))


@collection_filter("number", takes=(0, 1))
def _min(elements: Any, field: str | None = None) -> Any:
    """The smallest value of a field; absent when there is no element."""
    numbers = _numbers(elements, field)
    return numbers if isinstance(numbers, Unknown) else min(numbers, default=ABSENT)


@collection_filter("number", takes=(0, 1))
def _max(elements: Any, field: str | None = None) -> Any:
    """The greatest value of a field; absent when there is no element."""
    numbers = _numbers(elements, field)
    return numbers if isinstance(numbers, Unknown) else max(numbers, default=ABSENT)


def _truths(elements: Any, field: str | None, value: Any) -> list[bool | Unknown]:
    column = [element if field is None else values.member(element, field) for element in _elements(elements)]
    if value is None:
        return [values.truth(part) for part in column]
    return [values.compare_values("==", part, value) for part in column]


@collection_filter("bool", takes=(0, 2))
def _any(elements: Any, field: str | None = None, value: Any = None) -> bool | Unknown:
    """One at least is true, has a true field, or a field of that value: `device | any('backend', 'cuda')`."""
    return values.disjunction(_truths(elements, field, value))


@collection_filter("bool", takes=(0, 2))
def _all(elements: Any, field: str | None = None, value: Any = None) -> bool | Unknown:
    """All are true (have a true field, a field of that value), and there is one: `device | all('software')`."""
    return values.conjunction(_truths(elements, field, value)) if elements else False


@collection_filter("value")
def _first(elements: Any) -> Any:
    """The first element; absent when there is none."""
    return next(iter(_elements(elements)), ABSENT)


@collection_filter("value")
def _last(elements: Any) -> Any:
    """The last element; absent when there is none."""
    return next(reversed(_elements(elements)), ABSENT)


@collection_filter("records", takes=1)
def _map(elements: Any, field: str) -> Any:
    """The field of every element, as a list: `device | map('name')`."""
    return _column(elements, field)
