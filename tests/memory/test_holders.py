from __future__ import annotations

from typing import Any

from doctor.memory.holders import holders, placement_text
from doctor.memory.places import Part, Place
from doctor.memory.values import Values
from doctor.vocabulary.facts import Origin, Record, Unknown

from .support import GIB, MIB


def place(name: str = "CUDA0", free: int | None = 23 * GIB) -> Place:
    parts = [Part("weights", 21 * GIB, "log"), Part("kv", GIB, "log"), Part("compute", 2 * GIB, "estimate")]
    return Place(name, parts, free=free)


def processes(*found: tuple[int, str, int | None], engine: str = "llama-box") -> Values:
    records = [
        Record(
            "process", {"pid": i, "device": device, "name": name, **({"bytes": size} if size else {})}, Origin("smi")
        )
        for i, (device, name, size) in enumerate(found)
    ]
    facts: dict[str, Any] = {"engine.name": engine}
    return Values(lambda name: facts.get(name, Unknown(frozenset({name}))), {"process": records})


def test_the_largest_comes_first_and_other_cards_do_not_count() -> None:
    found = holders(
        place(),
        processes((0, "/usr/lib/xorg/Xorg", 412 * MIB), (0, "/opt/vllm/python3", 6 * GIB), (1, "other", GIB)),
    )
    assert found is not None
    assert found.bytes == 6 * GIB + 412 * MIB
    assert found.text == "python3 6.0 GiB, Xorg 412.0 MiB"


def test_the_run_itself_is_not_somebody_else() -> None:
    smi = [(0, "/opt/gpustack/bin/llama-box", 22 * GIB), (0, "/opt/gpustack/bin/llama-box", 300 * MIB)]
    found = holders(place(), processes(*smi))
    assert found is not None and found.bytes == 300 * MIB
    assert holders(place(), processes(smi[0])) is None


def test_a_process_without_a_figure_is_named() -> None:
    found = holders(place(), processes((0, "C:\\Windows\\dwm.exe", None)))
    assert found is not None and (found.bytes, found.text) == (0, "dwm.exe")


def test_no_list_and_no_number_give_nothing() -> None:
    assert holders(place(), processes()) is None
    assert holders(place("Metal"), processes((0, "x", GIB))) is None


def test_a_long_list_is_cut() -> None:
    found = holders(place(), processes(*((0, f"p{i}", (i + 1) * GIB) for i in range(6))))
    assert found is not None and found.text.endswith("and 2 more")


def test_what_each_device_needs_in_words() -> None:
    assert placement_text([place(), Place("CUDA1")]) == (
        "CUDA0: weights 21.0 GiB + kv 1.0 GiB + compute 2.0 GiB (estimate) = 24.0 GiB of 23.0 GiB free, 1.0 GiB short"
    )
    assert "free" not in (placement_text([place(free=None)]) or "")
    assert placement_text([]) is None


def test_what_no_process_holds_is_the_driver_s() -> None:
    listed = processes((0, "/usr/lib/xorg/Xorg", 412 * MIB))
    smi = Record(
        "device", {"index": 0, "description": "NVIDIA L4", "total": 24 * GIB, "used": 420 * MIB}, Origin("smi")
    )
    found = holders(place(), Values(listed._resolve, {"process": listed.all("process"), "card": [smi]}))
    assert found is not None and (found.total, found.rest) == (24 * GIB, GIB - 412 * MIB)
    later = holders(
        place(free=24 * GIB - MIB), Values(listed._resolve, {"process": listed.all("process"), "card": [smi]})
    )
    assert later is not None and later.rest is None
    nobody = holders(place(), Values(listed._resolve, {"card": [smi]}))
    assert nobody is not None and (nobody.bytes, nobody.text, nobody.rest) == (0, "", GIB)
