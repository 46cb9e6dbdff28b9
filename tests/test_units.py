from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.units import GIB, MIB, format_size, format_size_both, parse_size


@pytest.mark.parametrize(
    ("text", "default_unit", "count"),
    [
        ("713 GB", "", 713_000_000_000),
        ("713GiB", "", 713 * GIB),
        ("966.07", "MiB", 1_012_997_816),
        ("64M", "", 64 * MIB),
        ("64 Mi", "", 64 * MIB),
        ("1,5 TB", "", 1_500_000_000_000),
        ("4096", "", 4096),
        ("512 kB", "", 512_000),
        ("512 bytes", "MiB", 512),
        ("-1", "", -1),
        ("2 gib", "", 2 * GIB),
    ],
)
def test_sizes_are_read_in_their_unit(text: str, default_unit: str, count: int) -> None:
    assert parse_size(text, default_unit) == count


@pytest.mark.parametrize("text", ["", "GiB", "12 parsecs", "1.2.3 GB", "12 GiB free", "twelve"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (5 * MIB, "5.0 MiB"),
        (1_426_000_000_000, "1328.1 GiB"),
        (-GIB, "-1.0 GiB"),
    ],
)
def test_sizes_are_written_in_the_unit_that_fits(count: int, text: str) -> None:
    assert format_size(count) == text


def test_gb_stand_beside_gib_where_they_differ_to_a_reader() -> None:
    assert format_size_both(713_000_000_000) == "664.0 GiB (713 GB)"
    assert format_size_both(5 * MIB) == "5.0 MiB"


@given(st.integers(min_value=0, max_value=2**60))
def test_what_is_written_is_read_back_within_its_rounding(count: int) -> None:
    unit = GIB if count >= GIB else MIB if count >= MIB else 1024
    assert abs(parse_size(format_size(count)) - count) <= 0.0501 * unit


@given(st.text(max_size=60))
def test_any_text_gives_a_size_or_a_value_error(text: str) -> None:
    try:
        assert isinstance(parse_size(text), int)
    except ValueError as error:
        assert "not a size" in str(error)
