"""The estimate of the compute buffer against what engines printed; the stated error is what is tested here."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.memory.compute import compute_bytes
from doctor.memory.kv import CacheShape
from doctor.memory.model import HyperParameters

from .support import BIG, MEDIUM, MIB, TINY, settings, values

# run, model, settings, MiB printed for the device that computes the output, error allowed downwards and upwards
RUNS = [
    ("llamacpppython-verbose-true", TINY, settings(256, 128, flash_attention="disabled"), 1.5024, 0.002, 0.002),
    ("tiny-4096-fa-off", TINY, settings(4096, 512, flash_attention="off"), 43.51, 0.001, 0.001),
    ("q8-2048-fa-off", BIG, settings(2048, 512, flash_attention="off"), 96.0, 0.001, 0.001),
    ("q8-8192-fa-off", BIG, settings(8192, 512, flash_attention="off"), 300.0, 0.001, 0.001),
    ("q8-2048-fa-on", BIG, settings(2048, 512, flash_attention="on"), 70.5, 0.001, 0.001),
    ("q8-8192-fa-on", BIG, settings(8192, 512, flash_attention="on"), 70.5, 0.001, 0.001),
    ("mmap-nolimit-cold", BIG, settings(256, flash_attention="auto"), 8.81, 0.001, 0.001),
    ("llamacpp-healthy-cpu-tiny-f16", TINY, settings(256, flash_attention="auto"), 0.53, 0.0, 0.13),
    ("llamabench-ngl99-no-gpu", TINY, settings(256, 32, flash_attention="auto"), 0.2665, 0.0, 0.13),
    ("nodellamacpp-healthy-cpu", TINY, settings(256, 256, flash_attention="auto"), 2.1318, 0.0, 0.13),
    ("tiny-4096-fa-on", TINY, settings(4096, 512, flash_attention="on"), 8.01, 0.0, 0.13),
    ("mmap-file-truncated-while-running-sigbus", MEDIUM, settings(2048, flash_attention="auto"), 1.38, 0.004, 0.13),
    ("vk-healthy-full-offload", TINY, settings(256, flash_attention="auto"), 0.53, 0.0, 0.13),
    ("rpc-healthy-one-server", TINY, settings(256, flash_attention="auto"), 0.60, 0.01, 0.13),
    ("rpc-kshift-view-abort-llamabox117-q2k", TINY, settings(96, flash_attention="0"), 0.46, 0.0, 0.22),
    ("rpc-kshift-view-abort-llamabox117-nctx512", TINY, settings(512, flash_attention="0"), 0.88, 0.0, 0.22),
    ("rpc-protocol2-both-healthy-kshift", TINY, settings(256, flash_attention="0"), 0.69, 0.0, 0.22),
    # Layers split between host and device, and four copies for a pipeline: the estimate knows neither.
    ("vk-healthy-partial-offload", TINY, settings(256, flash_attention="auto"), 0.75, 0.21, 0.0),
    ("rpc-healthy-two-servers", TINY, settings(256, flash_attention="auto"), 0.88, 0.33, 0.0),
]


@pytest.mark.parametrize(("name", "model", "echoed", "mib", "below", "above"), RUNS, ids=[run[0] for run in RUNS])
def test_recorded_runs(
    name: str, model: dict[str, Any], echoed: dict[str, Any], mib: float, below: float, above: float
) -> None:
    facts = values({**model, **echoed})
    shape = CacheShape.from_facts(facts)
    assert shape is not None
    estimate = compute_bytes(HyperParameters.from_facts(facts), shape)
    assert estimate is not None
    assert -below <= estimate / (mib * MIB) - 1 <= above


def test_nothing_is_estimated_without_the_hidden_size() -> None:
    assert compute_bytes(HyperParameters(vocab=32000), CacheShape(4096)) is None


@given(st.integers(1, 1 << 20), st.integers(0, 1 << 20), st.integers(1, 4096), st.booleans())
def test_more_context_never_takes_less(context: int, more: int, ubatch: int, flash: bool) -> None:
    model = HyperParameters(embd=4096, ff=11008, heads=32, vocab=32000)
    small = compute_bytes(model, CacheShape(context, ubatch=ubatch, flash_attention=flash))
    large = compute_bytes(model, CacheShape(context + more, ubatch=ubatch, flash_attention=flash))
    assert small is not None and large is not None and 0 < small <= large
