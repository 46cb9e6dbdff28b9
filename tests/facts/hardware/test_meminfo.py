from __future__ import annotations

from .support import KIB, facts, lines, reading


def test_recorded() -> None:
    found = facts("memory/meminfo.txt")
    assert found["host.ram_total"] == 24684096 * KIB
    assert found["host.swap_total"] == 0
    assert found["host.commit_limit"] == 12342048 * KIB
    assert lines("memory/meminfo.txt")["host.ram_available"] == 3


def test_behind_a_prompt() -> None:
    name = "memory/meminfo-terabyte.txt"
    found = facts(name)
    assert found["host.ram_total"] == 1056618932 * KIB
    assert found["host.ram_available"] == 1034681344 * KIB
    assert found["host.swap_free"] == 8388604 * KIB
    assert found["host.commit_used"] == 9120384 * KIB
    assert [(block.first_line, block.last_line) for block in reading(name).blocks] == [(2, 13)]
