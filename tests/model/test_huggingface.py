from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from doctor.errors import UsageProblem
from doctor.memory.model import HyperParameters
from doctor.memory.values import Values
from doctor.model.read import read_model

LLAMA_8B = {
    "model_type": "llama", "num_hidden_layers": 32, "hidden_size": 4096, "intermediate_size": 14336,
    "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "torch_dtype": "bfloat16",
    "max_position_embeddings": 131072,
}  # fmt: skip
DEEPSEEK_V3 = {
    "model_type": "deepseek_v3", "num_hidden_layers": 61, "hidden_size": 7168, "intermediate_size": 18432,
    "num_attention_heads": 128, "num_key_value_heads": 128, "kv_lora_rank": 512, "qk_rope_head_dim": 64,
    "qk_nope_head_dim": 128, "v_head_dim": 128, "n_routed_experts": 256, "num_experts_per_tok": 8,
    "moe_intermediate_size": 2048, "first_k_dense_replace": 3, "vocab_size": 129280, "num_nextn_predict_layers": 1,
}  # fmt: skip


def config(folder: Path, values: dict[str, Any]) -> Path:
    (folder / "config.json").write_text(json.dumps(values))
    return folder


def safetensors(path: Path, tensors: dict[str, tuple[str, list[int], int]]) -> None:
    at, listed = 0, {}
    for name, (dtype, shape, size) in tensors.items():
        listed[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    head = json.dumps(listed).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head)


def hyper(folder: Path) -> HyperParameters:
    return HyperParameters.from_facts(Values(read_model(folder).resolve))


def test_a_configuration_alone_counts_the_weights(tmp_path: Path) -> None:
    found = read_model(config(tmp_path, LLAMA_8B))
    assert found.facts["model.params"] == pytest.approx(8.03e9, rel=0.002)
    assert found.weights == pytest.approx(16.06e9, rel=0.002)
    assert found.facts["model.embd_k_gqa"] == 1024
    assert "counted from the widths" in found.problems[0]
    assert read_model(tmp_path / "config.json").weights == found.weights


def test_the_index_tells_the_size(tmp_path: Path) -> None:
    config(tmp_path, LLAMA_8B)
    index = {"metadata": {"total_size": 123456}, "weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    found = read_model(tmp_path)
    assert found.weights == 123456
    assert found.problems == []


def test_headers_of_the_files_tell_every_tensor(tmp_path: Path) -> None:
    config(tmp_path, LLAMA_8B)
    tensors = {"model.embed_tokens.weight": ("BF16", [10, 4], 80), "model.layers.0.x.weight": ("F8_E4M3", [4], 4)}
    safetensors(tmp_path / "model.safetensors", tensors)
    found = read_model(tmp_path)
    assert [(t.type, t.shape, t.bytes) for t in found.tensors] == [("bf16", (4, 10), 80), ("f8_e4m3", (4,), 4)]
    assert found.weights == 84


def test_latent_attention_is_compressed_and_drafting_layers_do_not_count(tmp_path: Path) -> None:
    model = hyper(config(tmp_path, DEEPSEEK_V3))
    assert (model.arch, model.layers, model.layers_drafting) == ("deepseek2", 61, 1)
    assert model.cache_layers()[0][1:3] == (576, 0)
    assert read_model(tmp_path).facts["model.params"] == pytest.approx(671e9, rel=0.03)


def test_a_text_model_inside_another_is_found(tmp_path: Path) -> None:
    inner = {**LLAMA_8B, "model_type": "gemma3_text", "sliding_window": 1024, "head_dim": 256}
    model = hyper(config(tmp_path, {"model_type": "gemma3", "text_config": inner}))
    assert model.arch == "gemma3"
    assert [layer.windowed for layer in model.cache_layers()][:6] == [True] * 5 + [False]


def test_layer_types_say_which_layers_attend(tmp_path: Path) -> None:
    kinds = ["linear_attention", "linear_attention", "full_attention", "linear_attention"]
    linear = {"linear_num_value_heads": 32, "linear_value_head_dim": 128, "linear_num_key_heads": 16}
    linear |= {"linear_key_head_dim": 128, "linear_conv_kernel_dim": 4, "head_dim": 256}
    values = {**LLAMA_8B, **linear, "model_type": "qwen3_next", "num_hidden_layers": 4, "layer_types": kinds}
    model = hyper(config(tmp_path, values))
    assert [layer.number for layer in model.cache_layers()] == [2]
    assert model.state_layer == 4 * (3 * (4096 + 2 * 16 * 128) + 128 * 4096)


def test_jamba_and_nemotron_say_it_in_their_own_words(tmp_path: Path) -> None:
    jamba = {**LLAMA_8B, "model_type": "jamba", "num_hidden_layers": 8, "attn_layer_period": 8, "attn_layer_offset": 4}
    jamba |= {"mamba_expand": 2, "mamba_d_state": 16, "mamba_d_conv": 4}
    assert [layer.number for layer in hyper(config(tmp_path, jamba)).cache_layers()] == [4]
    nemotron = {**LLAMA_8B, "model_type": "nemotron_h", "num_hidden_layers": 4, "hybrid_override_pattern": "M-*M"}
    nemotron |= {"mamba_num_heads": 8, "mamba_head_dim": 64, "ssm_state_size": 128, "conv_kernel": 4, "n_groups": 8}
    model = hyper(config(tmp_path, nemotron))
    assert (model.attention_layers, model.recurrent_layers) == ((0, 0, 1, 0), (1, 0, 0, 1))


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff" * 8, struct.pack("<Q", 2**40) + b"{}", struct.pack("<Q", 20) + b"{}", struct.pack("<Q", 2) + b"[}"],
)
def test_broken_safetensors_give_one_error(tmp_path: Path, content: bytes) -> None:
    config(tmp_path, LLAMA_8B)
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(UsageProblem, match="safetensors"):
        read_model(tmp_path)


@pytest.mark.parametrize(
    "entry", [{"shape": [1]}, {"shape": ["a"], "data_offsets": [0, 1]}, {"shape": [1], "data_offsets": [-5, 1]}]
)
def test_absurd_entries_of_safetensors_are_named(tmp_path: Path, entry: dict[str, Any]) -> None:
    config(tmp_path, LLAMA_8B)
    head = json.dumps({"a.weight": {"dtype": "F16", **entry}}).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head)
    with pytest.raises(UsageProblem, match=r"the entry of 'a\.weight'"):
        read_model(tmp_path)


@pytest.mark.parametrize(
    "change",
    [{"num_hidden_layers": 10**9}, {"hidden_size": "x"}, {"num_attention_heads": -1}, {"layer_types": "x"}, {"x": 1}],
)
def test_odd_configurations_are_survived(tmp_path: Path, change: dict[str, Any]) -> None:
    try:
        hyper(config(tmp_path, {**LLAMA_8B, **change}))
    except UsageProblem as problem:
        assert "no configuration" in problem.message
