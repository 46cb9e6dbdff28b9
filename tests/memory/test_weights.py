"""Weights against what engines printed and against the sizes of published files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.memory.model import HyperParameters
from doctor.memory.weights import (
    BITS_PER_WEIGHT,
    LADDER,
    current_bits,
    embedding_bytes,
    layer_bytes,
    output_bytes,
    quant_name,
    size_at,
    smaller_quants,
    weights_on_disk,
)

from .support import BIG, GB, GIB, MIB, files, values

# GB of the files of bartowski/deepseek-ai_DeepSeek-V3-0324-GGUF and of a 70B Llama 3.1, both from their model cards.
DEEPSEEK_V3 = {"Q8_0": 713.29, "Q6_K": 550.80, "Q5_K_M": 475.40, "Q5_K_S": 461.81, "Q4_1": 419.94, "Q4_K_M": 404.43}
LLAMA_70B = {"Q8_0": 74.98, "Q6_K": 57.89, "Q5_K_M": 49.95, "Q5_K_S": 48.66, "Q4_K_M": 42.52, "Q4_K_S": 40.35}
LLAMA_70B |= {"Q4_0": 40.12, "IQ4_XS": 37.90, "Q3_K_L": 37.14, "Q3_K_M": 34.27, "Q3_K_S": 30.91}


@pytest.mark.parametrize("published", [DEEPSEEK_V3, LLAMA_70B], ids=["DeepSeek-V3", "Llama-70B"])
def test_sizes_of_published_files(published: dict[str, float]) -> None:
    model = HyperParameters(quant="Q8_0")
    now = round(published["Q8_0"] * GB)
    for name, expected in published.items():
        estimate = size_at(model, now, name)
        assert estimate is not None
        assert -0.001 < estimate / (expected * GB) - 1 < 0.041, name


def test_deepseek_v3_at_four_bits() -> None:
    size = size_at(HyperParameters(quant="Q8_0"), 713 * GB, "Q4_K_M")
    assert size is not None and round(size / GB) == 411


def test_size_from_the_number_of_weights_alone() -> None:
    assert size_at(HyperParameters(params=671e9), None, "Q8_0") == round(671e9 * 8.5008 / 8)
    assert size_at(HyperParameters(), 713 * GB, "Q4_K_M") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Q4_K - Medium", "Q4_K_M"), ("Q2_K - Medium", "Q2_K"), ("Q3_K - Large", "Q3_K_L"), ("Q8_0", "Q8_0"),
        ("/srv/llm/DeepSeek-V3-Q8_0/DeepSeek-V3-Q8_0-00001-of-00015.gguf", "Q8_0"),
        ("model.IQ4_XS.gguf", "IQ4_XS"), ("qwen2.5-7b-instruct-q4_k_m.gguf", "Q4_K_M"), ("F16", "F16"),
        ("llama-fp16.gguf", "F16"), ("DeepSeek-V3-FP8", "FP8"), ("Qwen3-8B", None), ("", None), (None, None),
    ],
)  # fmt: skip
def test_names_of_quantisations(text: str | None, expected: str | None) -> None:
    assert quant_name(text) == expected


def test_the_engine_says_its_bits_a_weight() -> None:
    assert current_bits(HyperParameters(bpw=4.95, quant="Q4_K - Medium")) == 4.95
    assert current_bits(HyperParameters(quant="Q4_K - Medium")) == BITS_PER_WEIGHT["Q4_K_M"]
    assert current_bits(HyperParameters()) is None


def test_parts_of_a_recorded_model() -> None:
    # vk-kv-tensor-over-storage-range: all 17 of 17 layers on Vulkan0: 899.66 MiB there, the embedding in 66.41 MiB
    model = HyperParameters.from_facts(values(BIG))
    whole = round(966.07 * MIB)
    assert f"{embedding_bytes(model) / MIB:.2f}" == "66.41"
    on_device = output_bytes(model) + 16 * layer_bytes(model, whole)
    # rpc-server-oom asked the worker for 943366144 bytes
    assert abs(on_device - 943366144) < 1000


def test_smaller_quantisations_come_largest_first() -> None:
    found = smaller_quants(HyperParameters(quant="Q5_K_M"), 50 * GB)
    assert [name for name, _ in found] == ["Q4_K_M", "IQ4_XS", "Q3_K_M", "IQ3_XXS", "Q2_K", "IQ2_XXS"]
    assert [size for _, size in found] == sorted((size for _, size in found), reverse=True)
    assert smaller_quants(HyperParameters(), 50 * GB) == []


def test_shards_add_up() -> None:
    shards = [(f"/srv/llm/V3/DeepSeek-V3-Q8_0-{part:05}-of-00003.gguf", 10 * GIB) for part in (1, 2, 3)]
    assert weights_on_disk(values({}, file=files(*shards))) == (30 * GIB, "Q8_0")


def test_one_of_several_models_counts_if_the_settings_name_it() -> None:
    listing = files(
        ("/srv/llm/a-Q8_0.gguf", 8 * GIB), ("/srv/llm/b-Q4_K_M.gguf", 4 * GIB), ("/srv/llm/mmproj-b.gguf", GIB)
    )
    assert weights_on_disk(values({}, file=listing)) is None
    named = values({"setting.model_path": "/models/b-Q4_K_M.gguf"}, file=listing)
    assert weights_on_disk(named) == (4 * GIB, "Q4_K_M")


def test_files_that_are_no_model_don_t_count() -> None:
    listing = files(("/srv/llm/README.md", 5000), ("/srv/llm/model.gguf", 0), ("", 7))
    assert weights_on_disk(values({}, file=listing)) is None


@given(st.sampled_from(LADDER), st.integers(1, 10**13), st.integers(0, 10**12))
def test_a_larger_model_stays_larger(quant: str, weights: int, more: int) -> None:
    model = HyperParameters(bpw=16.0)
    small, large = size_at(model, weights, quant), size_at(model, weights + more, quant)
    assert small is not None and large is not None and 0 <= small <= large


@given(st.integers(0, 10**13), st.integers(1, 200), st.integers(0, 10**6), st.integers(0, 10**5))
def test_a_layer_is_never_negative(weights: int, layers: int, vocab: int, embd: int) -> None:
    assert layer_bytes(HyperParameters(layers=layers, vocab=vocab, embd=embd), weights) >= 0
