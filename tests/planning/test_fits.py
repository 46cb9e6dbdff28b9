from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from doctor.planning import fits
from tests.planning.support import GIB, MIB, case, machine, settings


@pytest.mark.parametrize("name", ["llama-8b", "gemma3-12b", "deepseek-v2-lite", "jamba", "qwen3next"])
def test_one_step_more_of_the_largest_context_does_not_fit(name: str) -> None:
    one = case(name, machine(3, ram=6))
    chosen = settings(one, gpu_layers=99, slots=2, kv_unified=False)
    context = fits.largest_context(one, chosen)
    assert one.fits(chosen.with_context(context))
    trained = 2 * (one.model.context_train or 0)
    assert context == trained or not one.fits(chosen.with_context(context + chosen.shape.step))


@examples(max_examples=25, deadline=None)
@given(size=st.integers(1, 40), ram=st.integers(1, 40))
def test_what_is_said_to_fit_fits(size: int, ram: int) -> None:
    one = case("qwen3moe-30b", machine(size / 10, size / 20, ram=ram / 4))
    chosen = settings(one)
    layers = fits.largest_gpu_layers(one, chosen)
    if layers is not None:
        assert one.fits(replace(chosen, gpu_layers=layers))
        assert layers == one.all_layers or not one.fits(replace(chosen, gpu_layers=layers + 1))
    experts = fits.smallest_cpu_moe(one, chosen)
    if experts is not None:
        assert one.fits(replace(chosen, gpu_layers=one.all_layers, cpu_moe=experts))
    split = fits.best_tensor_split(one, chosen)
    if split is not None:
        whole = replace(chosen, gpu_layers=one.all_layers)
        assert fits.shortage(one.layout(replace(whole, tensor_split=split))) < fits.shortage(one.layout(whole))


def test_more_memory_never_gives_less() -> None:
    contexts = []
    for size in (1.5, 2, 3, 4, 6):
        one = case("llama-mha", machine(size))
        contexts.append(fits.largest_context(one, settings(one, gpu_layers=99)))
    assert contexts == sorted(contexts)
    assert contexts[0] < contexts[-1]


def test_a_split_makes_room_where_free_memory_alone_does_not() -> None:
    """A cache on few layers of a hybrid makes equal layers unequal."""
    one = case("nemotron-h", machine(1.2, 1.2))
    chosen = replace(settings(one, context=16384), gpu_layers=one.all_layers)
    split = fits.best_tensor_split(one, chosen)
    assert split is None or sum(split) == one.all_layers


def test_smaller_quantisations_come_largest_first() -> None:
    one = case("llama-mha", machine(1.3))
    found = fits.quants_that_fit(one, settings(one), 8.5)
    assert [name for name, _ in found][:2] == ["Q6_K", "Q5_K_M"] or found[0][0] in {"Q5_K_M", "Q4_K_M"}
    assert [size for _, size in found] == sorted((size for _, size in found), reverse=True)
    assert fits.quants_that_fit(one, settings(one), None) == []


def test_a_place_of_unknown_size_counts_as_large_enough() -> None:
    one = case("llama-8b", replace(machine(), ram=None))
    assert one.fits(settings(one))
    assert fits.left_in(one.layout(settings(one)).host) is None


def test_mapped_weights_must_stay_in_memory_too() -> None:
    one = case("llama-8b", machine(ram=1.0))
    assert one.layout(settings(one)).host.need < GIB - 200 * MIB
    assert not one.fits(settings(one))
    assert case("llama-8b", machine(ram=2.0)).fits(settings(one))
