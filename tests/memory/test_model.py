from __future__ import annotations

from typing import Any

import pytest

from doctor.memory.model import HyperParameters, Window, at, engine_build

from .support import TINY, values


def test_patterns_of_windowed_layers() -> None:
    # The examples in the comments of llama-hparams.h.
    assert [Window(3).covers(layer) for layer in range(6)] == [True, True, False, True, True, False]
    assert [Window(2, dense_first=True).covers(layer) for layer in range(4)] == [False, True, False, True]
    assert all(Window(0).covers(layer) for layer in range(4))
    assert not any(Window(1).covers(layer) for layer in range(4))


def test_missing_facts_are_named() -> None:
    model = HyperParameters.from_facts(values({"model.layers": 4, "model.heads_kv": 8}))
    assert model.missing == ["model.head_dim_k", "model.head_dim_v"]
    with pytest.raises(ValueError, match="head_dim_k"):
        model.cache_layers()


def test_heads_times_head_size_when_no_width_was_printed() -> None:
    facts = {key: value for key, value in TINY.items() if not key.startswith("model.embd_")}
    model = HyperParameters.from_facts(values(facts))
    assert [(layer.k, layer.v) for layer in model.cache_layers()] == [(256, 256)] * 2


def test_layers_without_attention_own_no_cache() -> None:
    # A hybrid model: the log prints one number a layer when they differ.
    facts = {**TINY, "model.layers": 4, "model.embd_k_gqa": "[0, 0, 256, 0]", "model.embd_v_gqa": "[0, 0, 256, 0]"}
    assert len(HyperParameters.from_facts(values(facts)).cache_layers()) == 1


def test_every_fourth_layer_of_qwen3next_has_a_cache() -> None:
    facts = {**TINY, "model.arch": "qwen3next", "model.layers": 48}
    assert len(HyperParameters.from_facts(values(facts)).cache_layers()) == 12


def test_an_unknown_pattern_of_windows_is_not_guessed() -> None:
    model = HyperParameters.from_facts(values({**TINY, "model.arch": "gemma4", "model.swa": 1024}))
    assert model.uncertain is not None
    with pytest.raises(ValueError, match="gemma4"):
        model.cache_layers()


@pytest.mark.parametrize("layers", [0, -3, 10**9, "x"])
def test_absurd_numbers_of_layers_count_as_unknown(layers: object) -> None:
    assert "model.layers" in HyperParameters.from_facts(values({**TINY, "model.layers": layers})).missing


@pytest.mark.parametrize(
    ("version", "build"),
    [
        ("b4598", 4598),
        ("4519 (80d0d6b4)", 4519),
        ("0.3.0-dev (build 10717, commit a32af33de)", 10717),
        ("build: 27d135c9 (4598)", 4598),
        ("1 (3cfbbdb)", None),
        ("0.5.0-dev", None),
        ("0.3.7", None),
        (None, None),
    ],
)
def test_build_numbers(version: str | None, build: int | None) -> None:
    assert engine_build(values({"engine.version": version})) == build


def test_a_list_that_is_too_short_goes_on_with_its_last_value() -> None:
    assert [at((8, 4), layer) for layer in range(3)] == [8, 4, 4]


@pytest.mark.parametrize(
    ("facts", "build"),
    [
        ({"engine.version": "b4598"}, 4598),
        ({"engine.version": "v0.0.117", "engine.base_build": 4598}, 4598),
        ({"engine.version": "0.5.0-dev"}, None),
        ({}, None),
    ],
)
def test_the_build_inside_of_a_product(facts: dict[str, Any], build: int | None) -> None:
    assert engine_build(values(facts)) == build
