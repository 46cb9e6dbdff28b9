"""What would fit if a setting were changed: the same plan at another context, number of slots or quantisation."""

from __future__ import annotations

import math
from dataclasses import replace

from doctor.memory.compute import compute_bytes
from doctor.memory.fit import MAX_CONTEXT, largest_layers, largest_multiple, largest_ubatch
from doctor.memory.host import host_limits
from doctor.memory.kv import CacheShape, kv_bytes, pad
from doctor.memory.places import Place, Plan
from doctor.memory.split import balanced_split
from doctor.memory.weights import layer_bytes, output_bytes, smaller_quants


def need_at(plan: Plan, place: Place, shape: CacheShape) -> int:
    """Bytes that ``place`` needs with other cache settings.

    For a context up to the present one a compute buffer that the engine printed is scaled down as the estimate is.

    Raises:
        ValueError: the KV cache can't be computed.
    """
    rest = sum(part.bytes for part in place.parts if part.kind not in {"kv", "compute", "mapped weights"})
    return rest + math.ceil(kv_bytes(plan.model, shape) * kv_share(plan, place)) + _compute_at(plan, place, shape)


def kv_share(plan: Plan, place: Place) -> float:
    """The part of the KV cache that lies in ``place``, 0 to 1."""
    if place is plan.host:
        return 1 - min(sum(device.share for device in plan.devices), 1.0) if plan.kv_on_devices else 1.0
    return place.share if plan.kv_on_devices else 0.0


def context_that_fits(plan: Plan, place: Place, shape: CacheShape | None = None) -> int | None:
    """The largest context, all slots together, with which ``place`` is not short of memory.

    Args:
        shape: other cache settings than the present ones (a quantised cache).

    Returns:
        A multiple of 256 a slot, at most the context of training or the present one, whichever is larger; 0 if not even
        the smallest fits; None if what is free is not known, or no part of the KV cache is in ``place``.
    """
    shape = shape or plan.shape
    budget = _budget(plan, place)
    if shape is None or budget is None or plan.kv_computed is None or kv_share(plan, place) <= 0:
        return None
    limit = pad(min(max(shape.context, plan.model.context_train or 0), MAX_CONTEXT), shape.step)
    try:
        return largest_multiple(
            shape.step, lambda context: need_at(plan, place, replace(shape, context=context)), budget, limit
        )
    except ValueError:
        return None


def slots_that_fit(plan: Plan, place: Place) -> int | None:
    """The largest number of slots with the present context each; None as in ``context_that_fits``."""
    shape = plan.shape
    budget = _budget(plan, place)
    if shape is None or shape.slots < 2 or budget is None or plan.kv_computed is None or kv_share(plan, place) <= 0:
        return None
    each = shape.cells // shape.slots
    return largest_multiple(
        1,
        lambda slots: need_at(plan, place, replace(shape, slots=slots, context=slots * each)),
        budget,
        shape.slots,
    )


def layers_that_fit(plan: Plan) -> int | None:
    """The largest ``--n-gpu-layers`` over all devices; None if a device's free memory or the weights are not known."""
    room = _layer_room(plan)
    if room is None or not plan.model.layers:
        return None
    layer, budgets = room
    return largest_layers(plan.model.layers, layer, output_bytes(plan.model), budgets)


def tensor_split_that_fits(plan: Plan) -> list[int] | None:
    """Layers for each of several devices by what is free there, for as many as fit in all; None for one device."""
    room, fitting = _layer_room(plan), layers_that_fit(plan)
    if room is None or not fitting or not plan.model.layers or len(plan.devices) < 2:
        return None
    layer, budgets = room
    whole = fitting > plan.model.layers
    counts = balanced_split(min(fitting, plan.model.layers), layer, output_bytes(plan.model) if whole else 0, budgets)
    if counts and whole:
        counts[-1] += 1  # the output layer counts as one
    return counts


def _layer_room(plan: Plan) -> tuple[int, list[int]] | None:
    """Bytes of a layer with its cache, and what each device has for layers."""
    layers, weights = plan.model.layers, plan.weights
    if not layers or not weights or not plan.devices or not plan.by_layer:
        return None
    layer = layer_bytes(plan.model, weights.bytes)
    if plan.kv and plan.kv_on_devices:
        layer += -(-plan.kv.bytes // layers)
    budgets = []
    for device in plan.devices:
        budget = _budget(plan, device)
        if budget is None:
            return None
        budgets.append(max(budget - (device.part("compute") or (plan.compute.bytes if plan.compute else 0)), 0))
    return max(layer, 1), budgets


def ubatch_that_fits(plan: Plan, place: Place) -> int | None:
    """A smaller physical batch whose compute buffer fits beside weights and KV cache; None if none does."""
    budget = _budget(plan, place)
    if plan.shape is None or budget is None:
        return None
    rest = place.need - place.part("compute")
    return largest_ubatch(plan.model, plan.shape, budget - rest)


def quant_that_fits(plan: Plan) -> tuple[str, int] | None:
    """The largest smaller quantisation with which no place is short of memory, and the bytes of all weights then."""
    if not plan.weights:
        return None
    places = [(place, budget) for place in (*plan.devices, plan.host) if (budget := _budget(plan, place)) is not None]
    if not places or (plan.devices and len(places) == 1 and places[0][0] is plan.host):
        return None
    for name, size in smaller_quants(plan.model, plan.weights.bytes):
        ratio = size / plan.weights.bytes
        if all(_need_at_ratio(place, ratio) <= budget for place, budget in places):
            return name, size
    return None


def _need_at_ratio(place: Place, ratio: float) -> int:
    """Mapped weights count here: a model that does not stay in memory is read from disk again for every token."""
    weights = place.part("weights") + place.part("mapped weights")
    return place.need - place.part("weights") + math.ceil(weights * ratio)


def _budget(plan: Plan, place: Place) -> int | None:
    """Bytes that ``place`` may take, its reserve left free."""
    if place is not plan.host:
        return None if place.free is None else max(place.free - place.reserve, 0)
    limits = host_limits(plan)
    # What counts against a limit beside the host's own parts (mapped weights in an address space) is taken off.
    return max(min(limit.budget - (limit.need - place.need) for limit in limits), 0) if limits else None


def _compute_at(plan: Plan, place: Place, shape: CacheShape) -> int:
    printed = sum(part.bytes for part in place.parts if part.kind == "compute" and part.source == "log")
    if not place.part("compute"):
        return 0
    estimate = compute_bytes(plan.model, shape) or 0
    if printed and plan.shape and shape.context <= plan.shape.context:
        present = compute_bytes(plan.model, plan.shape)
        if not present or not estimate:
            return printed
        # An estimate that is too low is so by what it leaves out: it is raised in proportion.
        return min(printed, math.ceil(estimate * max(printed / present, 1.0)))
    return max(printed, estimate)
