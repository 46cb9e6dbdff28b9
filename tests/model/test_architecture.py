from __future__ import annotations

from typing import Any

import pytest

from doctor.memory.kv import CacheShape, kv_bytes
from doctor.memory.model import HyperParameters
from doctor.memory.values import Values
from doctor.model.architecture import facts_of
from doctor.vocabulary.facts import Unknown

MIB = 1024**2


def hyper(arch: str, layers: int, **keys: Any) -> HyperParameters:
    values = {"general.architecture": arch, f"{arch}.block_count": layers}
    values |= {f"{arch}.{name.replace('__', '.')}": value for name, value in keys.items()}
    facts = facts_of(values)
    return HyperParameters.from_facts(Values(lambda name: facts.get(name, Unknown(frozenset({name})))))


def dense(arch: str, layers: int, heads_kv: Any = 8, **keys: Any) -> HyperParameters:
    given = {"embedding_length": 4096, "attention__head_count": 32, "attention__head_count_kv": heads_kv}
    return hyper(arch, layers, **{**given, **keys})


def test_heads_share_the_hidden_size_unless_told() -> None:
    assert dense("llama", 2).head_dim_k == 128
    assert dense("qwen3", 2, attention__key_length=96, attention__value_length=96).head_dim_k == 96


@pytest.mark.parametrize("arch", ["llama", "qwen2", "phi3", "qwen3"])
def test_a_window_that_the_engine_does_not_use_does_not_count(arch: str) -> None:
    assert dense(arch, 4, attention__sliding_window=4096).window == 0


def test_windows_follow_the_default_pattern_the_files_or_a_number() -> None:
    def windowed(**keys: Any) -> list[bool]:
        return [layer.windowed for layer in dense("gemma3", 6, attention__sliding_window=1024, **keys).cache_layers()]

    assert windowed() == [True] * 5 + [False]
    assert windowed(attention__sliding_window_pattern=2) == [True, False] * 3
    told = [0, 1, 1, 0, 0, 1]
    assert windowed(attention__sliding_window_pattern=told) == [bool(flag) for flag in told]


def test_windowed_layers_may_have_heads_of_their_own_size() -> None:
    pattern = {"attention__sliding_window": 512, "attention__sliding_window_pattern": [1, 0]}
    sizes = {"attention__key_length": 512, "attention__value_length": 512}
    window = {"attention__key_length_swa": 256, "attention__value_length_swa": 256}
    model = dense("gemma4", 2, **pattern, **sizes, **window)
    assert [layer.k for layer in model.cache_layers()] == [2048, 4096]


def test_layers_that_reuse_a_cache_own_none() -> None:
    keys = {"attention__sliding_window": 512, "attention__sliding_window_pattern": [1, 0, 1, 0]}
    model = dense("gemma4", 4, attention__shared_kv_layers=2, **keys)
    assert [layer.number for layer in model.cache_layers()] == [0, 1]


def test_drafting_layers_own_no_cache() -> None:
    model = dense("glm4moe", 5, nextn_predict_layers=1)
    assert (model.layers, model.layers_drafting) == (4, 1)
    assert len(model.cache_layers()) == 4


MAMBA = {"ssm__conv_kernel": 4, "ssm__inner_size": 5120, "ssm__state_size": 16, "ssm__time_step_rank": 160}


def test_a_recurrent_model_has_a_state_and_no_cache() -> None:
    """2.97 MiB for 8 layers and one sequence, as llama.cpp 0.5.0-dev prints for these widths."""
    model = hyper("mamba", 8, embedding_length=2560, attention__head_count=0, **MAMBA)
    assert model.cache_layers() == []
    assert kv_bytes(model, CacheShape(4096)) / MIB == pytest.approx(2.97, abs=0.005)


def test_a_hybrid_has_either_a_layer() -> None:
    """2.00 MiB of KV and 2.60 MiB of state at 4096 tokens, as llama.cpp 0.5.0-dev prints for these widths."""
    heads = {"attention__head_count": 20, "attention__head_count_kv": [0, 0, 0, 0, 1, 0, 0, 0]}
    model = hyper("jamba", 8, embedding_length=2560, **heads, **MAMBA)
    assert [layer.number for layer in model.cache_layers()] == [4]
    assert model.state_bytes / MIB == pytest.approx(2.60, abs=0.005)
    assert (kv_bytes(model, CacheShape(4096)) - model.state_bytes) / MIB == 2.00


def test_every_fourth_layer_of_qwen3_next_attends() -> None:
    heads = {"attention__head_count": 16, "attention__head_count_kv": 2, "attention__key_length": 256}
    model = hyper("qwen3next", 8, embedding_length=2048, attention__value_length=256, **heads)
    assert [layer.number for layer in model.cache_layers()] == [3, 7]
    told = {"attention__recurrent_layers": [1, 0, 1, 1, 1, 1, 1, 1]}
    model = hyper("qwen3next", 8, embedding_length=2048, attention__value_length=256, **heads, **told)
    assert [layer.number for layer in model.cache_layers()] == [1]


def test_layers_of_nemotron_h_do_one_thing_each() -> None:
    model = dense(
        "nemotron_h", 4, [0, 8, 0, 0], feed_forward_length=[0, 0, 9, 0], ssm__inner_size=64, ssm__state_size=8
    )
    assert model.attention_layers == (0, 1, 0, 0)
    assert model.recurrent_layers == (1, 0, 0, 1)


LATENT = {"attention__kv_lora_rank": 512, "attention__key_length": 576, "attention__value_length": 512}


def test_a_compressed_cache_needs_the_new_kind_of_file() -> None:
    new = dense("deepseek2", 2, 1, **LATENT, attention__key_length_mla=192, attention__value_length_mla=128)
    assert [(layer.k, layer.v) for layer in new.cache_layers()] == [(576, 0)] * 2
    old = dense("deepseek2", 2, 32, **{**LATENT, "attention__key_length": 192, "attention__value_length": 128})
    assert [(layer.k, layer.v) for layer in old.cache_layers()] == [(6144, 4096)] * 2


def test_sparse_attention_keeps_an_index() -> None:
    mla = {"attention__key_length_mla": 192, "attention__value_length_mla": 128}
    model = dense("deepseek32", 2, 1, **LATENT, **mla, attention__indexer__key_length=128)
    assert [layer.k for layer in model.cache_layers()] == [704, 704]


def test_caches_of_kinds_that_are_not_known_are_not_guessed() -> None:
    with pytest.raises(ValueError, match="further caches"):
        dense("minimax-m3", 2).cache_layers()


@pytest.mark.parametrize("value", [-1, "x", 2**70, True, None, [1], 1.5])
def test_values_that_make_no_sense_are_not_there(value: Any) -> None:
    assert "model.context_train" not in facts_of({"general.architecture": "a", "a.context_length": value})
    assert "model.layers" not in facts_of({"general.architecture": "a", "a.block_count": value})
    facts_of({"general.architecture": "a", "a.block_count": 3, "a.attention.head_count": value})
