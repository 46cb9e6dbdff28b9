"""What fits: always the largest, and what is offered really fits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from doctor.memory import whatif
from doctor.memory.kv import CacheShape
from doctor.memory.places import Plan

from .support import BIG, GIB, MIB, TINY, buffers, devices, run, settings


def on_card(free: int, context: int = 32768, slots: int = 1, **more: Any) -> Plan:
    facts = {**BIG, **settings(context, 512), "engine.name": "llama.cpp", "setting.slots": slots, **more}
    facts["setting.slot_context"] = context // slots
    return run(
        facts,
        device=devices({"name": "CUDA0", "free": free}),
        buffer=buffers(("CPU_Mapped", "weights", 66.41), ("CUDA0", "weights", 899.66)),
    ).plan


@given(st.integers(0, 8 * GIB), st.integers(256, 200_000), st.integers(1, 8))
def test_the_largest_context_on_a_card(free: int, context: int, slots: int) -> None:
    plan = on_card(free, context, slots)
    (card,), shape = plan.devices, plan.shape
    found = whatif.context_that_fits(plan, card)
    assert shape is not None and found is not None and found % shape.step == 0
    budget = max(free - card.reserve, 0)

    def need(tokens: int) -> int:
        return whatif.need_at(plan, card, replace(shape or CacheShape(1), context=tokens))

    assert found == 0 or need(found) <= budget
    limit = max(context, 2048)
    assert found + shape.step > limit + shape.step - 1 or found >= limit or need(found + shape.step) > budget


@given(st.integers(0, 8 * GIB), st.integers(2, 16))
def test_the_largest_number_of_slots(free: int, slots: int) -> None:
    plan = on_card(free, 4096 * slots, slots)
    (card,), shape = plan.devices, plan.shape
    found = whatif.slots_that_fit(plan, card)
    assert shape is not None and found is not None and 0 <= found <= slots
    budget = max(free - card.reserve, 0)
    for count, fits in ((found, True), (found + 1, False)):
        if 0 < count <= slots:
            changed = replace(shape, slots=count, context=count * 4096)
            assert (whatif.need_at(plan, card, changed) <= budget) is fits


def test_a_context_for_a_card_of_two_gib() -> None:
    # As vk-kv-tensor-over-storage-range: 2048 MiB free, an eighth kept, 899.66 MiB of weights, 131072 bytes a token
    plan = on_card(2048 * MIB, 32768, **{"setting.flash_attention": "off"})
    found = whatif.context_that_fits(plan, plan.devices[0])
    assert found == 5376
    compute = 512 * (4 * (5376 * 17 + 7 * 2048) + 24)
    assert 899.66 * MIB + 5376 * 131072 + compute <= 1792 * MIB
    assert 899.66 * MIB + 5632 * 131072 + 512 * (4 * (5632 * 17 + 7 * 2048) + 24) > 1792 * MIB


def test_nothing_fits_beside_weights_that_fill_the_card() -> None:
    plan = on_card(900 * MIB)
    assert whatif.context_that_fits(plan, plan.devices[0]) == 0
    assert whatif.ubatch_that_fits(plan, plan.devices[0]) is None


def test_unknown_free_memory_gives_no_answer() -> None:
    facts = {**BIG, **settings(4096), "engine.name": "llama.cpp"}
    plan = run(facts, buffer=buffers(("CUDA0", "weights", 899.66))).plan
    assert whatif.context_that_fits(plan, plan.devices[0]) is None
    assert whatif.layers_that_fit(plan) is None
    assert whatif.quant_that_fits(plan) is None


def test_a_container_limit_bounds_the_context() -> None:
    # hostoom-cgroup-kv-cache: 400 MiB, 524288 tokens at 2048 bytes each
    facts = {**TINY, **settings(524288), "host.cgroup_limit": 400 * MIB}
    plan = run(facts, buffer=buffers(("CPU_Mapped", "weights", 3.0), ("CPU", "kv", 1024))).plan
    found = whatif.context_that_fits(plan, plan.host)
    assert found == 161536
    assert found * 2048 < (400 - 64) * MIB


def test_layers_for_a_smaller_card() -> None:
    facts = {**BIG, **settings(2048, 512), "engine.name": "llama.cpp", "setting.gpu_layers": 99}
    plan = run(facts, device=devices({"name": "CUDA0", "free": 800 * MIB})).plan
    found = whatif.layers_that_fit(plan)
    # 700 MiB, less 70.5 MiB compute and 66.4 MiB output, over 52.1 MiB a layer and 16 MiB of cache
    assert found == 8
    assert whatif.layers_that_fit(run(facts, device=devices({"name": "CUDA0", "free": 4 * GIB})).plan) == 17


def test_layers_are_not_counted_when_experts_stay_on_the_host() -> None:
    facts = {**BIG, **settings(2048, 512), "engine.name": "llama.cpp", "setting.n_cpu_moe": 10}
    assert whatif.layers_that_fit(run(facts, device=devices({"name": "CUDA0", "free": GIB})).plan) is None


def test_a_smaller_physical_batch() -> None:
    # 966.07 MiB and a cache of 1 GiB without flash attention: 300 MiB of compute at 512 tokens
    plan = on_card(2560 * MIB, 8192, **{"setting.flash_attention": "off"})
    found = whatif.ubatch_that_fits(plan, plan.devices[0])
    assert found == 256


def test_a_quantisation_for_the_whole_model() -> None:
    facts = {"model.quant": "F16", "model.file_size": 14 * GIB, "host.ram_available": 8 * GIB, "setting.mmap": False}
    found = whatif.quant_that_fits(run({**facts, "engine.name": "llama.cpp"}).plan)
    assert found is not None and found[0] == "Q8_0" and found[1] < 7.9 * GIB
    smaller = whatif.quant_that_fits(run({**facts, "host.ram_available": 5 * GIB}).plan)
    assert smaller is not None and smaller[0] == "Q4_K_M"
    assert whatif.quant_that_fits(run({**facts, "host.ram_available": GIB}).plan) is None


def test_a_printed_compute_buffer_shrinks_with_the_context() -> None:
    # Two RTX 4090: the compute buffer for 8192 tokens without flash attention (1104.45 MiB) was refused
    facts = {**BIG, **settings(8192, 512, flash_attention="off"), "engine.name": "llama.cpp"}
    found = run(
        facts,
        device=devices({"name": "CUDA0", "free": 2560 * MIB}),
        buffer=buffers(("CUDA0", "weights", 899.66), ("CUDA0", "kv", 1024.0), ("CUDA0", "compute", 300.0)),
    ).plan
    shape, card = found.shape, found.devices[0]
    assert shape is not None
    # 16 heads x 4 bytes x 4096 cells x 512 tokens less: half the scores
    half = whatif.need_at(found, card, replace(shape, context=4096))
    assert abs(half - (899.66 + 512 + 166) * MIB) < 2 * MIB
    assert whatif.need_at(found, card, shape) == card.need
