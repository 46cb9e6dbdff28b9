"""The door: facts, derivations and the document's table of one run."""

from __future__ import annotations

import pytest

from doctor.memory.plan import assess, derive, entries

from .support import BIG, MIB, TINY, buffers, resolver, run, settings

# run, weights as printed for the file, buffers of weights by device
WEIGHTS = [
    ("llamacpp-healthy-cpu-tiny-f16", 3.00, [("CPU_Mapped", 3.00)]),
    ("vk-healthy-full-offload", 3.00, [("CPU_Mapped", 0.25), ("Vulkan0", 2.75)]),
    ("vk-healthy-partial-offload", 3.00, [("CPU_Mapped", 2.75), ("Vulkan0", 0.25)]),
    ("rpc-healthy-two-servers", 3.00, [("CPU_Mapped", 0.25), ("RPC0[1.2.3.4:1]", 2.50), ("RPC0[1.2.3.4:2]", 0.25)]),
    ("rpc-kshift-view-abort-llamabox117-q2k", 0.61, [("RPC[127.0.0.1:50301]", 0.57), ("CPU_Mapped", 0.04)]),
    ("rpc-kshift-view-abort-llamabox117-q4km", 0.93, [("RPC[127.0.0.1:50301]", 0.86), ("CPU_Mapped", 0.07)]),
    ("rpc-kshift-llamabox117-q8_0-ok", 1.60, [("RPC[127.0.0.1:50301]", 1.47), ("CPU_Mapped", 0.13)]),
    ("mmap-file-truncated-while-running-sigbus", 41.03, [("CPU_Mapped", 41.03)]),
    ("nommap-nolimit-warm", 966.07, [("CPU", 966.07)]),
    ("vk-kv-tensor-over-storage-range", 966.07, [("CPU_Mapped", 66.41), ("Vulkan0", 899.66)]),
]


@pytest.mark.parametrize(("name", "file_size", "parts"), WEIGHTS, ids=[case[0] for case in WEIGHTS])
def test_weights_of_recorded_runs(name: str, file_size: float, parts: list[tuple[str, float]]) -> None:
    found = run(
        {**TINY, "model.file_size": round(file_size * MIB)},
        buffer=buffers(*((device, "weights", size) for device, size in parts)),
    )
    assert found.plan.weights is not None and f"{found.plan.weights.bytes / MIB:.2f}" == f"{file_size:.2f}"
    by_device = sum(
        place.part("weights") + place.part("mapped weights") for place in (*found.plan.devices, found.plan.host)
    )
    assert f"{by_device / MIB:.2f}" == f"{file_size:.2f}"


def test_all_doors_say_the_same() -> None:
    resolve, records = resolver({**BIG, **settings(2048)}), {"buffer": buffers(("CPU", "weights", 966.07))}
    whole = assess(resolve, records)
    assert derive(resolve, records) == whole.derivations
    assert entries(resolve, records) == whole.entries()
    assert [(fact.name, fact.value) for fact in whole.facts] == [(d.name, d.value) for d in whole.derivations]
    assert {str(fact.origin) for fact in whole.facts} == {"computed"}


def test_nothing_known_is_an_empty_table() -> None:
    found = assess(resolver({}), {})
    assert found.entries() == [] and found.facts == [] and found.problems == []
