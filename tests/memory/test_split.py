from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from doctor.memory.split import balanced_split

from .support import GIB


def test_unequal_cards_get_unequal_parts() -> None:
    # 80 layers of 0.5 GiB on a 24 GiB and a 48 GiB card
    assert balanced_split(80, GIB // 2, 0, [22 * GIB, 44 * GIB]) == [26, 54]


def test_the_output_layer_takes_room_on_the_last() -> None:
    assert balanced_split(10, GIB, 4 * GIB, [7 * GIB, 7 * GIB]) == [7, 3]
    assert balanced_split(11, GIB, 4 * GIB, [7 * GIB, 7 * GIB]) is None
    assert balanced_split(1, GIB, 8 * GIB, [7 * GIB, 7 * GIB]) is None


def test_nothing_fits_nowhere() -> None:
    assert balanced_split(4, GIB, 0, []) is None
    assert balanced_split(4, GIB, 0, [0, 0]) is None


@given(
    st.integers(1, 200),
    st.integers(1, 4 * GIB),
    st.integers(0, GIB),
    st.lists(st.integers(0, 96 * GIB), min_size=1, max_size=8),
)
def test_every_layer_is_placed_and_none_too_many(layers: int, layer: int, output: int, budgets: list[int]) -> None:
    counts = balanced_split(layers, layer, output, budgets)
    if counts is None:
        return
    assert sum(counts) == layers and min(counts) >= 0
    for place, (count, budget) in enumerate(zip(counts, budgets, strict=True)):
        assert count * layer + (output if place == len(budgets) - 1 else 0) <= budget
