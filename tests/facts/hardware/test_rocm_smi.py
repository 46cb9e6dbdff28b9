from __future__ import annotations

from doctor.facts.hardware import read_hardware

from .support import facts, reading, records


def test_text() -> None:
    name = "rocm-smi/text.txt"
    assert records(name, "device") == [
        {
            "index": 0,
            "backend": "rocm",
            "total": 17163091968,
            "used": 14876672,
            "free": 17148215296,
            "description": "AMD Radeon RX 7800 XT",
            "capability": "gfx1101",
        },
        {
            "index": 1,
            "backend": "rocm",
            "total": 536870912,
            "used": 332193792,
            "free": 204677120,
            "description": "AMD Radeon Graphics",
            "capability": "gfx1036",
        },
    ]
    assert reading(name).problems == []


def test_json_and_what_comes_after_it() -> None:
    name = "rocm-smi/json.txt"
    first, second = records(name, "device")
    assert (first["total"], first["used"], first["utilisation"]) == (68702699520, 61203283968, 7.0)
    assert (second["index"], second["description"]) == (1, "AMD Instinct MI210")
    assert facts(name)["host.kernel"] == "6.8.0-60-generic"


def test_json_that_is_cut_off_is_a_problem() -> None:
    found = read_hardware('{"card0": {"VRAM Total Memory (B)": "687', "x")
    assert found.records == []
    assert "cut off" in found.problems[0]
