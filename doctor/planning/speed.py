"""Tokens a second at most, for one sequence: every token reads its weights and its cache once."""

from __future__ import annotations

from collections.abc import Sequence

from doctor.memory.model import HyperParameters
from doctor.memory.speed import expert_share
from doctor.planning.document import PlanSpeed
from doctor.planning.layout import Layout
from doctor.planning.target import Device, Target


def speed_bound(layout: Layout, model: HyperParameters, target: Target, devices: Sequence[Device]) -> PlanSpeed:
    """The sum over places of the bytes read there over the bandwidth there. Devices work one after the other on the
    layers of one sequence. Left out, so that it stays a bound: the arithmetic, transfers, and what a cache hits."""
    share = expert_share(model) if model.experts else 1.0
    found = PlanSpeed()
    seconds: float | None = 0.0
    full: float | None = 0.0
    for index, place in enumerate(layout.places):
        experts = layout.experts[index]
        read = sum(layout.weights[index].values()) - experts + round(experts * share)
        read -= layout.embedding if place is layout.host else 0
        cache = place.part("kv") + place.part("state")
        if read + cache <= 0:
            continue
        bandwidth = target.bandwidth if place is layout.host else devices[index].bandwidth
        found.token_bytes += read
        found.cache_bytes += cache
        found.by_place[place.name] = [read, bandwidth]
        seconds = None if not bandwidth or seconds is None else seconds + read / bandwidth
        full = None if not bandwidth or full is None else full + (read + cache) / bandwidth
    found.bound = round(1 / seconds, 1) if seconds else None
    found.bound_full = round(1 / full, 1) if full else None
    return found
