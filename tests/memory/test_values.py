from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.memory.values import MAX_LAYERS, Values, integer, number
from doctor.vocabulary.facts import ABSENT, Unknown


@pytest.mark.parametrize(
    "value", [None, ABSENT, Unknown(frozenset({"x"})), -1, float("nan"), float("inf"), "many", True, 2**70]
)
def test_what_is_no_count_is_not_there(value: Any) -> None:
    assert Values(lambda _: value).integer("x") is None


@pytest.mark.parametrize(("value", "expected"), [(8, 8), ("8", 8), (8.9, 8), (0, 0)])
def test_counts(value: Any, expected: int) -> None:
    assert Values(lambda _: value).integer("x") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("auto", None),
        ("on", True),
        ("enabled", True),
        ("0", False),
        ("disabled", False),
        (True, True),
        (0, False),
        (None, None),
    ],
)
def test_flags(value: Any, expected: bool | None) -> None:
    assert Values(lambda _: value).flag("x") is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(8, 8), ("[8, 8, 0]", (8, 8, 0)), ([8, "4"], (8, 4)), ("[]", None), ("[8, x]", None), ("8", 8)],
)
def test_numbers_per_layer(value: Any, expected: Any) -> None:
    assert Values(lambda _: value).per_layer("x") == expected


def test_a_very_long_list_is_cut() -> None:
    found = Values(lambda _: [1] * 100_000).per_layer("x")
    assert isinstance(found, tuple) and len(found) == MAX_LAYERS


@given(st.one_of(st.integers(), st.floats(), st.text(max_size=20), st.booleans(), st.none()))
def test_a_number_is_never_negative(value: Any) -> None:
    for found in (number(value), integer(value)):
        assert found is None or found >= 0
