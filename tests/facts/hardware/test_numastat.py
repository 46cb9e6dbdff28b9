from __future__ import annotations

from doctor.facts.hardware import read_hardware

from .support import MIB, records


def test_recorded() -> None:
    (usage,) = records("numa/numa-maps-recorded.txt", "numa_usage")
    assert (usage["pid"], usage["name"], usage["main_node"]) == (150, "llama-bench", 0)
    assert usage["bytes_by_node"] == {0: round(59.31 * MIB), 1: round(52.71 * MIB)}


def test_four_nodes_in_two_tables() -> None:
    (usage,) = records("numa/numastat-two-tables.txt", "numa_usage")
    assert usage["bytes_by_node"] == {0: round(13100.37 * MIB), 1: round(1024.5 * MIB), 2: 512 * MIB, 3: 2 * MIB}
    assert usage["bytes"] == sum(usage["bytes_by_node"].values())


def test_without_its_last_row_it_is_a_problem() -> None:
    found = read_hardware(
        "Per-node process memory usage (in MBs) for PID 7 (x)\n    Node 0   Total\nHuge 0.00 0.00", "x"
    )
    assert found.records == []
    assert "totals" in found.problems[0]
