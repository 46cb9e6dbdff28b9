from __future__ import annotations

from .support import MIB, facts, reading, records


def test_two_cards_and_processes() -> None:
    name = "nvidia-smi/q-3090.txt"
    assert facts(name) == {"host.gpu_driver": "550.127.05", "host.cuda_version": "12.4"}
    first, second = records(name, "device")
    assert first == {
        "index": 0,
        "backend": "cuda",
        "description": "NVIDIA GeForce RTX 3090",
        "display": True,
        "total": 24576 * MIB,
        "reserved": 310 * MIB,
        "used": 9104 * MIB,
        "free": 15164 * MIB,
        "utilisation": 3.0,
        "power_limit": 280.0,  # not the module's, which is N/A, and not the default
    }
    assert (second["index"], second["free"], second["power_limit"]) == (1, 24265 * MIB, 350.0)
    assert records(name, "process") == [
        {"pid": 1624, "device": 0, "name": "/usr/lib/xorg/Xorg", "bytes": 630 * MIB},
        {"pid": 71002, "device": 0, "name": "/srv/llm/bin/llama-server", "bytes": 8470 * MIB},
    ]
    assert reading(name).problems == []


def test_an_old_driver_with_a_windows_process() -> None:
    name = "nvidia-smi/q-384.txt"
    assert facts(name) == {"host.gpu_driver": "384.69"}
    (card,) = records(name, "device")
    assert (card["total"], card["free"], card["power_limit"]) == (16276 * MIB, 16276 * MIB, 235.0)
    assert records(name, "process") == [{"pid": 4021, "device": 0, "name": "python"}]
