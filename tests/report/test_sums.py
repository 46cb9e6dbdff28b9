"""Sums in words and numbers, only where they are true."""

from __future__ import annotations

from typing import Any

import pytest

from doctor.report.sums import written
from doctor.vocabulary.document import Computed

GIB = 1024**3


def unit_of(name: str, value: Any) -> str:
    return "bytes" if isinstance(value, int) and value >= GIB else ""


def sum_of(expression: str, value: Any, **inputs: Any) -> tuple[str, str] | None:
    named = {name.replace("__", "."): given for name, given in inputs.items()}
    return written(Computed(name="x", value=value, expression=expression, inputs=named), unit_of)


def test_numbers_stand_where_the_names_stood() -> None:
    assert sum_of("host.ram - need * 2", 2 * GIB, host__ram=8 * GIB, need=3 * GIB) == (
        "ram − need × 2",
        "8.0 GiB − 3.0 GiB × 2",
    )


def test_the_branch_that_was_taken() -> None:
    choice = "a.n + 1 if a is present else b.n + 2"
    assert sum_of(choice, 6, a__n=5, a=True) == ("n + 1", "5 + 1")
    assert sum_of(choice, 9, b__n=7) == ("n + 2", "7 + 2")
    assert sum_of("ram + (swap if swap is present else 0)", 5, ram=5) == ("ram + 0", "5 + 0")
    assert sum_of("(ram + 1) * 2", 12, ram=5) == ("(ram + 1) × 2", "(5 + 1) × 2")


@pytest.mark.parametrize(
    ("expression", "value", "inputs"),
    [
        ("a + b", 4, {"a": 1, "b": 2}),  # not what it gives
        ("a + b", 3, {"a": 1}),  # unknown
        ("a // b * b", 4, {"a": 5, "b": 4}),
        ("buffer | sum('bytes')", 4, {"buffer": 4}),
        ("a", 4, {"a": 4}),  # another name, no sum
        ("a / b", 4, {"a": 4, "b": 0}),
        ("(a + b", 3, {"a": 1, "b": 2}),
        ("a + ", 3, {"a": 1}),
        ("a b c", 3, {"a": 1, "b": 1, "c": 1}),
        ("a + b", "text", {"a": 1, "b": 2}),
        ("+".join(["a"] * 1000), 1000, {"a": 1}),
        ("(" * 500 + "a" + ")" * 500, 1, {"a": 1}),
        ("", 1, {}),
    ],
)
def test_what_is_no_true_sum(expression: str, value: Any, inputs: dict[str, Any]) -> None:
    assert sum_of(expression, value, **inputs) is None
