from __future__ import annotations

import pytest

from doctor.memory.bandwidth import APPLE, bandwidth_of


@pytest.mark.parametrize(
    ("name", "gb"),
    [("Apple M3 Ultra", 819), ("Apple M3", 100), ("Apple M1 Pro (16 GPU cores)", 200), ("MTL0 (Apple M4 Max)", 546)],
)
def test_a_chip_is_told_by_its_whole_name(name: str, gb: float) -> None:
    assert bandwidth_of(name) == gb * 1000**3


@pytest.mark.parametrize("name", [None, "", "NVIDIA GeForce RTX 4090", "Apple M9 Ultra", "Apple A17", "xApple M1"])
def test_other_devices_have_none(name: str | None) -> None:
    assert bandwidth_of(name) is None


def test_larger_chips_of_a_generation_are_not_slower() -> None:
    for chip, figure in APPLE.items():
        assert figure >= APPLE[chip.split()[0]]
