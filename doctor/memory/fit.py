"""The largest number that still fits. Every function is exact about its cost: one step more does not fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from doctor.memory.compute import compute_bytes
from doctor.memory.kv import CacheShape
from doctor.memory.model import HyperParameters

Cost = Callable[[int], int]
MAX_CONTEXT = 2**31 - 1


def largest_multiple(step: int, cost: Cost, budget: int, limit: int) -> int:
    """The largest multiple of ``step`` up to ``limit`` that costs at most ``budget``; 0 if not even one step fits.

    Args:
        step: at least 1.
        cost: bytes for a count; must not fall as the count grows.
        budget: bytes.
        limit: the largest count to consider.
    """
    low, high = 0, max(limit, 0) // step
    while low < high:
        middle = (low + high + 1) // 2
        if cost(middle * step) <= budget:
            low = middle
        else:
            high = middle - 1
    return low * step


def largest_ubatch(model: HyperParameters, shape: CacheShape, budget: int) -> int | None:
    """The largest power of two below the present physical batch whose compute buffer fits; None if none does."""
    size = 1 << max(shape.ubatch - 1, 0).bit_length() >> 1
    while size >= 16:
        cost = compute_bytes(model, replace(shape, ubatch=size))
        if cost is not None and cost <= budget:
            return size
        size //= 2
    return None


def largest_layers(layers: int, layer: int, output: int, budgets: Sequence[int]) -> int:
    """The largest ``--n-gpu-layers`` that fits: ``layers + 1`` offloads the output layer and all repeating ones.

    Args:
        layers: repeating layers of the model.
        layer: bytes of one with its KV cache, at least 1.
        output: bytes of the output layer, which lies on the last device. It is offloaded first (llama.cpp since pull
            request 18148) or last (before): its room is always kept.
        budgets: bytes for both on each device.
    """
    rooms = [*budgets[:-1], budgets[-1] - output] if budgets else []
    if not rooms or rooms[-1] < 0:
        return 0
    fitting = min(sum(room // layer for room in rooms), layers)
    return layers + 1 if fitting == layers else fitting
