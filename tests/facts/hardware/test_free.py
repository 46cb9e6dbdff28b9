from __future__ import annotations

import pytest

from doctor.facts.hardware import read_hardware

from .support import FIXTURES, GIB, KIB, MIB, facts, lines, reading


@pytest.mark.parametrize(
    ("name", "total", "free", "available", "swap", "swap_free"),
    [
        ("free.txt", 24684096 * KIB, 22850164 * KIB, 23838956 * KIB, 0, 0),
        ("free-h.txt", 23 * GIB, 21 * GIB, 22 * GIB, 0, 0),
        ("free-g.txt", 1007 * GIB, 978 * GIB, 986 * GIB, 7 * GIB, 7 * GIB),
        ("free-terabyte.txt", 1031854 * MIB, 998120 * MIB, 1010431 * MIB, 8191 * MIB, 7679 * MIB),
        ("free-wide.txt", 25276514304, 23406862336, 24419487744, 2147479552, 2147479552),
        ("free-german.txt", 62 * GIB, round(5.4 * GIB), 18 * GIB, 2 * GIB, 2 * GIB),
        ("free-french.txt", 4122259456, 3857805312, 3817267200, 1023406080, 837545984),
        ("free-old.txt", 65936180 * KIB, 1724136 * KIB, 54864456 * KIB, 8388604 * KIB, 8388604 * KIB),
    ],
)
def test_units_languages_and_layouts(
    name: str, total: int, free: int, available: int, swap: int, swap_free: int
) -> None:
    assert facts(f"memory/{name}") == {
        "host.ram_total": total,
        "host.ram_free": free,
        "host.ram_available": available,
        "host.swap_total": swap,
        "host.swap_free": swap_free,
    }


def test_a_unit_told_by_size_alone_is_said_so() -> None:
    assert reading("memory/free-terabyte.txt").problems == [
        "free output at line 2: no unit is given; the numbers were read as MiB because of their size"
    ]
    assert reading("memory/free-g.txt").problems == []  # the file's name tells


def test_each_value_keeps_its_line() -> None:
    assert lines("memory/free-h.txt") == {
        "host.ram_total": 3,
        "host.ram_free": 3,
        "host.ram_available": 3,
        "host.swap_total": 4,
        "host.swap_free": 4,
    }


def test_carriage_returns_and_colours_do_no_harm() -> None:
    text = (FIXTURES / "memory/free.txt").read_text().replace("\n", "\r\n").replace("Mem:", "\x1b[1mMem:\x1b[0m")
    assert {fact.name: fact.value for fact in read_hardware(text, "x").facts}["host.ram_total"] == 24684096 * KIB


def test_a_table_of_something_else_is_not_taken() -> None:
    text = "              total        used        free\nrequests: none today\n"
    assert read_hardware(text, "x").blocks == []
