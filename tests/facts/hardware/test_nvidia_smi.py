from __future__ import annotations

import pytest

from .support import FIXTURES, MIB, facts, lines, reading, records


def test_two_cards_with_their_processes() -> None:
    name = "nvidia-smi/two-cards.txt"
    assert facts(name) == {"host.gpu_driver": "550.127.05", "host.cuda_version": "12.4"}
    assert lines(name)["host.gpu_driver"] == 3
    first, second = records(name, "device")
    assert first == {
        "index": 0,
        "backend": "cuda",
        "description": "NVIDIA GeForce RTX 4090",
        "display": True,
        "total": 24564 * MIB,
        "used": 23310 * MIB,
        "free": 1254 * MIB,
        "power_limit": 450.0,
        "utilisation": 12.0,
        "mig": False,
    }
    assert (second["index"], second["description"], second["display"]) == (1, "NVIDIA GeForce RTX 3060", False)
    assert records(name, "process") == [
        {"pid": 1874, "name": "/usr/lib/xorg/Xorg", "device": 0, "bytes": 412 * MIB},
        {"pid": 48120, "name": "...srv/llm/vllm/bin/python3", "device": 0, "bytes": 22860 * MIB},
        {"pid": 50011, "name": "/usr/bin/gnome shell", "device": 0},
        {"pid": 1874, "name": "/usr/lib/xorg/Xorg", "device": 1, "bytes": 4 * MIB},
    ]
    found = reading(name)
    assert [record.origin.line for record in found.records] == [9, 13, 23, 24, 25, 26, 9, 13]
    cards = [record.fields["index"] for record in found.records if record.kind == "card"]
    assert cards == [0, 1]
    assert (found.blocks[0].first_line, found.blocks[0].last_line, found.problems) == (3, 27, [])


def test_the_narrow_table_of_old_drivers_ends_before_the_next_command() -> None:
    name = "nvidia-smi/driver-418.txt"
    assert [block.kind for block in reading(name).blocks] == ["nvidia-smi", "free"]
    first, second = records(name, "device")
    assert (first["description"], first["total"], first["used"]) == ("Tesla V100-SXM2", 16130 * MIB, 4793 * MIB)
    assert (second["index"], second["free"], second["power_limit"]) == (1, 16130 * MIB, 300.0)
    assert records(name, "process") == [{"pid": 17871, "name": "/usr/bin/python3", "device": 0, "bytes": 4783 * MIB}]


def test_slices_are_no_devices_but_the_card_says_that_it_is_cut() -> None:
    name = "nvidia-smi/mig.txt"
    (card,) = records(name, "device")
    assert (card["mig"], card["total"], card["used"]) == (True, 24576 * MIB, 11020 * MIB)
    assert "utilisation" not in card
    assert records(name, "process") == [
        {"pid": 921334, "name": "/srv/llm/bin/llama-server", "device": 0, "bytes": 10970 * MIB}
    ]


def test_driver_610_calls_its_versions_otherwise() -> None:
    name = "nvidia-smi/kmd-610.txt"
    assert facts(name) == {"host.gpu_driver": "610.57.04", "host.cuda_version": "13.3"}
    (card,) = records(name, "device")
    assert (card["description"], card["total"], card["power_limit"]) == ("NVIDIA GeForce RTX 5090", 24463 * MIB, 95.0)
    assert records(name, "process") == []


def test_windows_has_a_driver_model_and_no_process_memory() -> None:
    name = "nvidia-smi/wddm.txt"
    (card,) = records(name, "device")
    assert (card["description"], card["used"], card["power_limit"]) == ("NVIDIA GeForce RTX 4070", 1433 * MIB, 200.0)
    assert records(name, "process") == [{"pid": 3180, "name": "C:\\Windows\\explorer.exe", "device": 0}]


@pytest.mark.parametrize(
    ("name", "line", "start"),
    [("no-driver.txt", 2, "NVIDIA-SMI has failed because"), ("mismatch.txt", 1, "Failed to initialize NVML: Driver")],
)
def test_an_error_in_place_of_the_table_is_a_fact(name: str, line: int, start: str) -> None:
    assert facts(f"nvidia-smi/{name}")["host.gpu_error"].startswith(start)
    assert lines(f"nvidia-smi/{name}") == {"host.gpu_error": line}


def test_a_table_cut_in_the_middle_of_a_card_gives_the_card_and_a_problem() -> None:
    from doctor.facts.hardware import read_hardware

    text = "\n".join((FIXTURES / "nvidia-smi/two-cards.txt").read_text().split("\n")[:13])
    found = read_hardware(text, "cut.txt")
    assert [(record.kind, record.fields["index"]) for record in found.records] == [
        ("device", 0),
        ("device", 1),
        ("card", 0),
    ]
    assert "total" in found.records[0].fields
    assert "total" not in found.records[1].fields
    assert found.problems == ["nvidia-smi output at line 13: the table ends in the middle of a device"]
