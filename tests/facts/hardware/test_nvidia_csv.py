from __future__ import annotations

from doctor.facts.hardware import read_hardware

from .support import MIB, facts, reading, records


def test_fields_that_a_card_lacks_are_left_out() -> None:
    name = "nvidia-smi/query-gpu.csv"
    first, _, third = records(name, "device")
    assert first == {
        "index": 0,
        "backend": "cuda",
        "description": "NVIDIA RTX 6000 Ada Generation",
        "total": 49140 * MIB,
        "used": 46811 * MIB,
        "free": 1803 * MIB,
        "utilisation": 98.0,
        "power_limit": 300.0,
        "capability": "8.9",
    }
    assert "utilisation" not in third
    assert "power_limit" not in third
    assert third["free"] == (4096 - 310) * MIB  # [N/A]: total minus used
    assert facts(name) == {"host.gpu_driver": "570.133.20"}


def test_without_a_header_the_command_line_names_the_columns() -> None:
    name = "nvidia-smi/query-noheader.txt"
    first, second = records(name, "device")
    assert (first["index"], first["total"], first["used"]) == (0, 81920 * MIB, 71244 * MIB)
    assert (second["index"], second["used"]) == (1, 4 * MIB)
    assert records(name, "process") == [{"pid": 30112, "name": "/srv/llm/bin/python3", "bytes": 71232 * MIB}]
    assert [(block.first_line, block.last_line) for block in reading(name).blocks] == [(1, 3), (4, 6)]


def test_a_header_without_rows_is_a_problem() -> None:
    found = read_hardware("index, memory.total [MiB], memory.free [MiB]\n\n", "x")
    assert found.records == []
    assert found.problems == ["nvidia-smi --query output at line 1: no row under the header"]
