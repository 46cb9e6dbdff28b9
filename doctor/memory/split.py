"""A split of the layers over unequal devices, by what is free on each."""

from __future__ import annotations

from collections.abc import Sequence


def balanced_split(layers: int, layer: int, output: int, budgets: Sequence[int]) -> list[int] | None:
    """Layers for each device, in proportion to its room; the output layer goes to the last one.

    Args:
        layers: repeating layers to place, all that are to be offloaded.
        layer: bytes of one with its KV cache, at least 1.
        output: bytes of the output layer, 0 if it stays in host memory.
        budgets: bytes for both on each device, reserve and compute buffer already taken off.

    Returns:
        A count for each device that adds up to ``layers``; None if they don't fit.
    """
    rooms = [max(budget, 0) for budget in budgets]
    if not rooms or rooms[-1] < output:
        return None
    rooms[-1] -= output
    most = [room // layer for room in rooms]
    if sum(most) < layers or not sum(rooms):
        return None
    counts = [min(layers * room // sum(rooms), limit) for room, limit in zip(rooms, most, strict=True)]
    while sum(counts) < layers:  # what rounding left over goes where most room is left
        left = [room - count * layer for room, count in zip(rooms, counts, strict=True)]
        place = max((i for i in range(len(counts)) if counts[i] < most[i]), key=lambda i: left[i])
        counts[place] += 1
    return counts
