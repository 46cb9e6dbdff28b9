from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from doctor.memory.compute import compute_bytes
from doctor.memory.fit import largest_layers, largest_multiple, largest_ubatch
from doctor.memory.kv import CacheShape
from doctor.memory.model import HyperParameters

MODEL = HyperParameters(layers=32, embd=4096, ff=14336, heads=32, vocab=128256)


@given(
    st.integers(1, 4096), st.integers(0, 10**6), st.integers(0, 10**9), st.integers(0, 10**12), st.integers(0, 10**7)
)
def test_one_step_more_does_not_fit(step: int, each: int, fixed: int, budget: int, limit: int) -> None:
    found = largest_multiple(step, lambda count: fixed + each * count, budget, limit)
    assert found % step == 0 and 0 <= found <= limit
    assert found == 0 or fixed + each * found <= budget
    assert found + step > limit or fixed + each * (found + step) > budget


@given(st.integers(0, 200), st.integers(1, 10**10), st.integers(0, 10**10), st.integers(0, 10**12))
def test_one_layer_more_does_not_fit(layers: int, layer: int, output: int, budget: int) -> None:
    found = largest_layers(layers, layer, output, [budget])
    repeating = min(found, layers)
    assert 0 <= found <= layers + 1
    assert found == 0 or repeating * layer + output <= budget
    assert found == layers + 1 or (repeating + 1) * layer + output > budget


@given(
    st.integers(0, 200), st.integers(1, 10**10), st.integers(0, 10**10), st.lists(st.integers(0, 10**12), max_size=4)
)
def test_another_device_never_takes_layers_away(layers: int, layer: int, output: int, budgets: list[int]) -> None:
    assert largest_layers(layers, layer, output, [10**10, *budgets]) >= largest_layers(layers, layer, output, budgets)


def test_all_layers_and_the_output_are_one_more_than_the_layers() -> None:
    assert largest_layers(32, 100, 50, [3250]) == 33
    assert largest_layers(32, 100, 50, [3249]) == 31
    assert largest_layers(32, 100, 50, [49]) == 0
    assert largest_layers(32, 100, 50, [1000, 1000]) == 19
    assert largest_layers(32, 100, 50, []) == 0


@given(st.integers(1, 4096), st.integers(0, 10**9))
def test_the_next_physical_batch_does_not_fit(ubatch: int, budget: int) -> None:
    shape = CacheShape(8192, ubatch=ubatch)
    found = largest_ubatch(MODEL, shape, budget)
    if found is None:
        return
    cost = compute_bytes(MODEL, replace(shape, ubatch=found))
    twice = compute_bytes(MODEL, replace(shape, ubatch=2 * found))
    assert found < ubatch and cost is not None and twice is not None and cost <= budget
    assert 2 * found >= ubatch or twice > budget
