"""The KV cache against what engines printed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.memory.ggml import KV_TYPES
from doctor.memory.kv import CacheShape, kv_bytes, kv_bytes_by_layer, kv_bytes_per_token
from doctor.memory.model import WINDOWS, HyperParameters

from .support import BIG, MEDIUM, TINY, printed, settings, values

AUTO = {"flash_attention": "auto", "kv_unified": "false"}

# run, hyper-parameters, what the engine echoed, cells and MiB that it printed
RUNS = [
    # llama.cpp 0.5.0-dev, November 2026
    ("llamacpp-healthy-cpu-tiny-f16", TINY, settings(256, **AUTO), 256, "0.50"),
    ("llamaserver-healthy-lv4", TINY, settings(256, 256, **AUTO), 256, "0.50"),
    ("llamabench-ngl99-no-gpu", TINY, settings(256, 32, **AUTO), 256, "0.50"),
    ("llamacpppython-verbose-true", TINY, settings(256, 128, flash_attention="disabled"), 256, "0.50"),
    (
        "llamacpp-vquant-with-fa",
        TINY,
        settings(256, flash_attention="enabled", kv_type_k="q8_0", kv_type_v="q8_0"),
        256,
        "0.27",
    ),
    ("rpc-healthy-one-server", TINY, settings(256, **AUTO), 256, "0.50"),
    ("rpc-healthy-two-servers", TINY, settings(256, **AUTO), 256, "0.50"),
    ("rpc-server-killed-mid-generation", TINY, settings(512, **AUTO), 512, "1.00"),
    ("vk-healthy-full-offload", TINY, settings(256, **AUTO), 256, "0.50"),
    ("vk-healthy-partial-offload", TINY, settings(256, **AUTO), 256, "0.50"),
    ("nodellamacpp-vulkan-llvmpipe", TINY, settings(256, 256, **AUTO), 256, "0.50"),
    ("hostoom-cgroup-kv-cache", TINY, settings(524288, **AUTO), 524288, "1024.00"),
    ("llamacpp-kv-alloc-fail-real", TINY, settings(67108864, **AUTO), 67108864, "131072.00"),
    ("nommap-file-truncated-while-running-ok", MEDIUM, settings(2048, **AUTO), 2048, "32.00"),
    ("numa-2node-llamabench-distribute", MEDIUM, settings(256, 32, **AUTO), 256, "4.00"),
    ("mmap-nolimit-cold", BIG, settings(256, **AUTO), 256, "32.00"),
    ("vk-kv-tensor-over-storage-range", BIG, settings(32768, 32768, flash_attention="disabled"), 32768, "4096.00"),
    # llama.cpp of August 2025
    ("rpc-protocol2-both-healthy-kshift", TINY, settings(256, flash_attention="0", kv_unified="false"), 256, "0.50"),
    # llama.cpp of January 2025 rounds up to 32 without flash attention
    ("rpc-kshift-view-abort-llamabox117-q2k", TINY, settings(96, flash_attention="0"), 96, "0.19"),
    ("rpc-kshift-view-abort-llamabox117-q4km", TINY, settings(96, flash_attention="0"), 96, "0.19"),
    ("rpc-kshift-view-abort-llamabox117-nctx512", TINY, settings(512, flash_attention="0"), 512, "1.00"),
    ("rpc-llamabox117-no-shift-ok", TINY, settings(512, flash_attention="0"), 512, "1.00"),
]


def both(facts: dict[str, Any]) -> tuple[HyperParameters, CacheShape]:
    shape = CacheShape.from_facts(values(facts))
    assert shape is not None
    return HyperParameters.from_facts(values(facts)), shape


@pytest.mark.parametrize(("name", "model", "echoed", "cells", "mib"), RUNS, ids=[run[0] for run in RUNS])
def test_recorded_runs(name: str, model: dict[str, Any], echoed: dict[str, Any], cells: int, mib: str) -> None:
    parameters, shape = both({**model, **echoed})
    assert shape.cells == cells
    assert printed(kv_bytes(parameters, shape)) == mib


def test_the_bytes_that_the_allocation_asked_for() -> None:
    # llamacpp-kv-alloc-fail-real: "failed to allocate buffer of size 137438953472"
    assert kv_bytes(*both({**TINY, **settings(67108864, **AUTO)})) == 137438953472


def test_compressed_cache_of_deepseek() -> None:
    # ikawrakow/ik_llama.cpp pull request 259, DeepSeek-R1 with 32768 cells: "c^KV (q8_0): 1166.62 MiB, kv^T: not used"
    model = HyperParameters(layers=61, kv_lora_rank=512, rope_dim=64)
    assert printed(kv_bytes(model, CacheShape(32768, type_k="q8_0"))) == "1166.62"
    # llama.cpp prints n_embd_k_gqa = 576 for it; until January 2026 it kept V as well, 512 wide.
    new = HyperParameters(layers=61, kv_lora_rank=512, k_width=576, v_width=512, heads_kv=1)
    old = replace(new, mla_keeps_v=True)
    assert kv_bytes_per_token(new, CacheShape(4096)) == 61 * 576 * 2
    assert kv_bytes_per_token(old, CacheShape(4096)) == 61 * (576 + 512) * 2


def test_deepseek_files_of_before_april_2025_cache_every_head() -> None:
    # As printed for them: n_embd_k_gqa = 24576, n_embd_v_gqa = 16384 (ik_llama.cpp pull request 235)
    model = HyperParameters(layers=61, kv_lora_rank=512, k_width=24576, v_width=16384)
    assert kv_bytes_per_token(model, CacheShape(4096)) == 61 * (24576 + 16384) * 2


@pytest.mark.parametrize(("slots", "cells", "mib"), [(3, 1536, "27.00"), (4, 1024, "18.00")])
def test_gemma3_270m_with_slots(slots: int, cells: int, mib: str) -> None:
    # unslothai/unsloth pull request 7530, measured with llama-server b10107, --ctx-size 1024
    facts = {
        "model.arch": "gemma3",
        "model.layers": 18,
        "model.heads_kv": 1,
        "model.head_dim_k": 256,
        "model.head_dim_v": 256,
        "model.swa": 512,
        "engine.version": "b10107",
        **settings(1024, 512, kv_unified=False),
        "setting.slots": slots,
    }
    del facts["setting.slot_context"]
    model, shape = both(facts)
    assert shape.cells == cells
    assert printed(kv_bytes(model, shape)) == mib


def test_windows_keep_the_window_and_one_batch() -> None:
    # gpt-oss-20b: 24 layers, every other one with a window of 128 tokens; 128 + 512 rounded up to 768 cells
    model = HyperParameters("gpt-oss", layers=24, heads_kv=8, head_dim_k=64, head_dim_v=64, window=128)
    model = replace(model, window_pattern=WINDOWS["gpt-oss"])
    row = 2 * 8 * 64 * 2
    shape = CacheShape(131072)
    assert kv_bytes(model, shape) == 12 * row * 131072 + 12 * row * 768
    assert kv_bytes_per_token(model, shape) == 12 * row
    assert kv_bytes(model, replace(shape, full_window=True)) == 24 * row * 131072
    assert kv_bytes_by_layer(model, shape)[:2] == [row * 768, row * 131072]


def test_one_pool_holds_the_window_of_every_slot() -> None:
    model = HyperParameters("gpt-oss", 2, heads_kv=1, head_dim_k=64, head_dim_v=64, window=128)
    model = replace(model, window_pattern=WINDOWS["gpt-oss"])
    one_pool = CacheShape(8192, slots=4, unified=True)
    own_pools = replace(one_pool, unified=False)
    assert one_pool.window_cells_per_stream(128) == 1024  # 4 x 128 + 512
    assert own_pools.window_cells_per_stream(128) == 768  # 128 + 512, in each of four pools
    assert kv_bytes(model, own_pools) == 256 * (8192 + 4 * 768)


def test_without_flash_attention_v_is_as_wide_as_the_widest_layer() -> None:
    model = HyperParameters(layers=2, k_width=(256, 512), v_width=(256, 512))
    assert kv_bytes(model, CacheShape(256)) == 256 * 2 * (512 + 1024)
    assert kv_bytes(model, CacheShape(256, flash_attention=False)) == 256 * 2 * (768 + 1024)


def test_recurrent_state_comes_once_a_slot() -> None:
    model = HyperParameters(layers=1, k_width=256, v_width=256, state_layer=1000, recurrent_layers=(1,))
    assert kv_bytes(model, CacheShape(512, slots=2)) == 512 * 1024 + 2000


def test_a_row_must_be_whole_blocks() -> None:
    with pytest.raises(ValueError, match="not a multiple"):
        kv_bytes(HyperParameters(layers=1, k_width=80, v_width=80), CacheShape(256, type_k="q8_0"))


@pytest.mark.parametrize(
    ("facts", "padding"),
    [
        ({"setting.context": 96, "setting.slot_context": 96, "setting.flash_attention": "0"}, 32),
        ({"setting.context": 96, "setting.slot_context": 256}, 256),
        ({"setting.context": 96}, 256),
        ({"setting.context": 96, "setting.flash_attention": "1", "engine.version": "b4598"}, 256),
        ({"setting.context": 96, "setting.flash_attention": "0", "engine.version": "b4598"}, 32),
        ({"setting.context": 96, "setting.flash_attention": "off", "engine.version": "b10107"}, 256),
    ],
)
def test_rounding_by_engine(facts: dict[str, Any], padding: int) -> None:
    shape = CacheShape.from_facts(values(facts))
    assert shape is not None and shape.padding == padding


def test_slots_of_builds_before_july_2025_share_one_pool() -> None:
    shape = CacheShape.from_facts(values({"setting.context": 8192, "setting.slots": 4, "engine.version": "b4598"}))
    assert shape is not None and shape.streams == 1


def test_a_context_of_zero_is_that_of_training_and_an_unknown_one_is_unknown() -> None:
    facts = {"model.context_train": 4096}
    assert CacheShape.from_facts(values(facts)) is None
    shape = CacheShape.from_facts(values({**facts, "setting.context": 0}))
    assert shape is not None and shape.context == 4096
    assert CacheShape.from_facts(values({"setting.context": 4096, "setting.kv_type_k": "turbo3"})) is None


shapes = st.builds(
    CacheShape,
    context=st.integers(1, 1 << 22),
    slots=st.integers(1, 64),
    unified=st.booleans(),
    type_k=st.sampled_from(KV_TYPES),
    type_v=st.sampled_from(KV_TYPES),
    flash_attention=st.booleans(),
    ubatch=st.integers(1, 4096),
    padding=st.sampled_from([32, 256]),
)
models = st.builds(
    HyperParameters,
    layers=st.integers(1, 40),
    k_width=st.integers(1, 32).map(lambda n: 64 * n),
    v_width=st.integers(1, 32).map(lambda n: 64 * n),
    window=st.sampled_from([0, 128, 4096]),
    window_pattern=st.sampled_from(list(WINDOWS.values())),
)


@given(models, shapes, st.integers(1, 100_000))
def test_more_context_never_takes_less(model: HyperParameters, shape: CacheShape, more: int) -> None:
    larger = replace(shape, context=shape.context + more)
    assert larger.cells >= shape.cells >= min(shape.context, shape.cells)
    assert kv_bytes(model, larger) >= kv_bytes(model, shape) > 0


@given(models, shapes)
def test_every_slot_has_room_for_its_share(model: HyperParameters, shape: CacheShape) -> None:
    assert shape.cells_per_stream % shape.padding == 0
    assert shape.cells_per_stream >= shape.context // shape.streams
    assert shape.window_cells_per_stream(model.window) <= shape.cells_per_stream
    assert kv_bytes(model, shape) == sum(kv_bytes_by_layer(model, shape))


@given(models, shapes)
def test_bytes_per_token_are_what_a_step_of_context_costs(model: HyperParameters, shape: CacheShape) -> None:
    base = replace(shape, context=shape.step * 64, padding=256, full_window=True)
    base = replace(base, context=base.step * 64)
    step = replace(base, context=base.context + base.step)
    assert kv_bytes(model, step) - kv_bytes(model, base) == kv_bytes_per_token(model, base) * base.step


def test_a_layer_without_v_is_not_padded() -> None:
    model = HyperParameters(layers=2, kv_lora_rank=512, k_width=576, v_width=512)
    assert kv_bytes(model, CacheShape(256, flash_attention=False)) == 2 * 576 * 2 * 256


@pytest.mark.parametrize(
    ("facts", "used"),
    [
        ({"engine.version": "b4598"}, False),
        ({"engine.base_build": 4598, "engine.version": "v0.0.117"}, False),
        ({"engine.version": "b4598", "setting.flash_attention": "on"}, True),
        ({"engine.version": "b6169", "setting.flash_attention": "auto"}, True),
        ({"engine.version": "b10107"}, True),
        ({}, True),
        ({"setting.flash_attention": "off"}, False),
    ],
)
def test_flash_attention_was_a_switch(facts: dict[str, Any], used: bool) -> None:
    shape = CacheShape.from_facts(values({"setting.context": 8192, **facts}))
    assert shape is not None and shape.flash_attention is used
