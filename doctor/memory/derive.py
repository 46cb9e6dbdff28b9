"""The ``memory.*`` facts: every number with its expression and its inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from doctor.memory import whatif
from doctor.memory.bandwidth import GB
from doctor.memory.disks import model_disk
from doctor.memory.holders import holders, placement_text
from doctor.memory.host import binding_limit
from doctor.memory.kv import CacheShape, kv_bytes, kv_bytes_per_token
from doctor.memory.numa import Replication, copies, numa_nodes, smallest_node
from doctor.memory.places import Place, Plan
from doctor.memory.rates import bound, rates, read_rate
from doctor.memory.weights import FOUR_BIT, current_bits, size_at

Find = Callable[[Plan, Place], int | None]


@dataclass(frozen=True, slots=True)
class Derivation:
    """A computed fact. ``expression`` says how, with the names of ``inputs``."""

    name: str
    value: Any
    unit: str
    expression: str
    inputs: dict[str, Any] = field(default_factory=dict)


class _Sheet:
    """Collects derivations; a figure that could not be computed (None) is not one."""

    def __init__(self) -> None:
        self.found: list[Derivation] = []

    def add(self, name: str, value: Any, expression: str, unit: str = "bytes", **inputs: Any) -> None:
        if value is not None:
            known = {key: given for key, given in inputs.items() if given is not None}
            self.found.append(Derivation(f"memory.{name}", value, unit, expression, known))


def derivations(plan: Plan, *, by_rank: bool = False) -> list[Derivation]:
    """All that can be computed for this plan; nothing is guessed for a missing input.

    Args:
        by_rank: the engine shares every layer out among its cards (vLLM, SGLang): what lies on a device, and what would
            fit there, the plan of such engines says, not this arithmetic of layers.
    """
    sheet = _Sheet()
    for section in (_model, _cache, _rates, _numa) if by_rank else _SECTIONS:
        section(plan, sheet)
    return sheet.found


def _model(plan: Plan, sheet: _Sheet) -> None:
    if plan.weights:
        weights = plan.weights.bytes
        sheet.add("weights", weights, plan.weights_from, file_size=plan.model.file_size)
        bits = current_bits(plan.model)
        four_bit = _smaller(plan, FOUR_BIT)
        sheet.add("quant_4bit_size", four_bit, f"weights x {FOUR_BIT} bits / bits now", weights=weights, bits_now=bits)
    if plan.compute:
        ubatch = plan.shape.ubatch if plan.shape else None
        sheet.add("compute", plan.compute.bytes, "largest compute buffer", ubatch=ubatch, source=plan.compute.source)


def _cache(plan: Plan, sheet: _Sheet) -> None:
    shape = plan.shape
    if plan.kv:
        printed = plan.kv.source == "log"
        expression = "sum of the KV buffers" if printed else "cells x (K row + V row) summed over the layers"
        cells = shape.cells if shape and plan.kv_computed is not None else None
        sheet.add("kv", plan.kv.bytes, expression, cells=cells, layers=plan.model.layers, source=plan.kv.source)
    if shape is None or plan.kv_computed is None:
        return
    each = kv_bytes_per_token(plan.model, shape)
    types = {"type_k": shape.type_k, "type_v": shape.type_v}
    slots = shape.slots if shape.streams > 1 else None
    rounded = (
        f"context{' / slots' if slots else ''} rounded up to a multiple of {shape.padding}{' x slots' if slots else ''}"
    )
    sheet.add("kv_cells", shape.cells, rounded, "tokens", context=shape.context, slots=slots)
    sheet.add("kv_per_token", each, "(K row + V row) summed over the layers", layers=plan.model.layers, **types)
    fixed = plan.kv_computed - each * shape.cells
    sheet.add(
        "kv_fixed",
        fixed or None,
        "kv - kv_per_token x cells",
        kv=plan.kv_computed,
        kv_per_token=each,
        cells=shape.cells,
    )
    if (eight_bit := _eight_bit(plan)) is not None:
        sheet.add(
            "kv_q8_0", kv_bytes(plan.model, eight_bit), "kv with 34 bytes for 32 numbers", cells=shape.cells, **types
        )


def _devices(plan: Plan, sheet: _Sheet) -> None:
    device = plan.tightest
    if device is None:
        return
    parts = _parts(device)
    sheet.add(
        "device", device.name, "the device that lacks most or has least left", "", free=device.free, need=device.need
    )
    sheet.add("device_free", device.free, "free before the run", device=device.name)
    sheet.add("device_need", device.need, " + ".join(parts), **parts)
    sheet.add("device_missing", device.missing, "need - free, at least 0", need=device.need, free=device.free)
    for kind in ("weights", "kv", "compute"):
        sheet.add(f"device_{kind}", device.part(kind) or None, f"{kind} on that device", device=device.name)
    sheet.add("placement", placement_text(plan.devices), "the parts of each device, and what was free there", "")
    held = holders(device, plan.values)
    if held is not None:
        sheet.add("device_holders", held.text or None, "processes that nvidia-smi lists for it", "", device=device.name)
        sheet.add("device_held", held.bytes or None, "what they hold", device=device.name)
        used: dict[str, Any] = {"total": held.total, "free": device.free, "held": held.bytes}
        sheet.add("device_total", held.total, "memory of the card", device=device.name)
        sheet.add("device_unlisted", held.rest, "total - free - held: driver and CUDA context", **used)
    split = whatif.tensor_split_that_fits(plan)
    if split is not None:
        given_free: dict[str, Any] = {_key(place.name): place.free for place in plan.devices}
        in_proportion = "layers for each device, in proportion to free - reserve - compute"
        sheet.add("tensor_split", ",".join(map(str, split)), in_proportion, "", **given_free)
    _add_context(plan, sheet, "context_that_fits_device", plan.devices)
    cache = " + its KV cache" if plan.kv else "; KV cache not known and not counted"
    room = f"(free - reserve - compute - output layer) / (layer{cache}), over all devices"
    given: dict[str, Any] = {"free": device.free, "reserve": device.reserve}
    sheet.add("layers_that_fit", whatif.layers_that_fit(plan), room, "layers", layers=plan.model.layers, **given)
    smaller = "largest power of two whose compute buffer fits in free - reserve - the rest"
    rest = device.need - device.part("compute")
    sheet.add("ubatch_that_fits", whatif.ubatch_that_fits(plan, device), smaller, "tokens", rest=rest, **given)


def _rates(plan: Plan, sheet: _Sheet) -> None:
    """What a token reads, and how fast the run reads it."""
    if plan.weights is None:
        return
    weights, model, known = plan.weights.bytes, plan.model, rates(plan)
    on_devices = weights - (known.resident or 0)
    held: dict[str, Any] = {"weights": weights, "on_devices": on_devices}
    sheet.add("host_resident", known.resident or None, "weights - what the devices hold of them", **held)
    experts: dict[str, Any] = {"experts": model.experts, "experts_used": model.experts_used}
    active = "weights without the experts not in use" if model.experts else "weights"
    sheet.add("token_bytes", known.token, active, weights=weights, **experts)
    sheet.add(
        "host_token_bytes",
        known.host_token,
        "the part of it that lies in host memory",
        resident=known.resident,
        **experts,
    )
    touched = "experts in host memory x (1 - (1 - used / all) ^ tokens of the batch)"
    sheet.add("host_batch_bytes", known.host_batch, touched, batch=known.batch, resident=known.resident, **experts)
    if known.resident and (disk := model_disk(plan.values)) is not None:
        sheet.add("model_disk", disk[0], "the disk whose mount point is above the model's path, or the only one", "")
        sheet.add("model_disk_rate", disk[1], "published for disks of that kind", "GB/s")
    speed = plan.values.number("speed.generation")
    sheet.add(
        "host_read_rate",
        read_rate(plan, known.host_token),
        "tokens a second x host_token_bytes",
        "GB/s",
        speed=speed,
        host_token_bytes=known.host_token,
    )
    if (found := bound(plan, known.token)) is not None:
        bandwidth, fastest = found
        sheet.add("bandwidth", bandwidth / GB, "published for this chip", "GB/s")
        sheet.add("speed_bound", round(fastest, 1), "bandwidth / token_bytes", "tokens/s", token_bytes=known.token)


def _host(plan: Plan, sheet: _Sheet) -> None:
    host = plan.host
    if not host.parts:
        return
    parts = _parts(host)
    mapped = host.part("mapped weights")
    sheet.add("host_need", host.need or None, " + ".join(part for part in parts if part != "mapped_weights"), **parts)
    sheet.add("host_weights", host.part("weights") + mapped or None, "weights in host memory, mapped ones too", **parts)
    sheet.add("host_working_set", host.need + mapped or None, " + ".join(parts), **parts)
    limit = binding_limit(plan)
    if limit is None:
        return
    sheet.add("host_limit", limit.bytes, limit.kind, fact=limit.fact)
    sheet.add("host_limit_kind", limit.kind, "the limit that is exceeded most or leaves least", "", limit=limit.bytes)
    sheet.add("host_missing", limit.missing, "need - limit, at least 0", need=limit.need, limit=limit.bytes)
    _add_context(plan, sheet, "context_that_fits_host", [host])


def _changes(plan: Plan, sheet: _Sheet) -> None:
    """Numbers that suit every place at once."""
    places = [*plan.devices, plan.host]
    _add_context(plan, sheet, "context_that_fits", places)
    slots, by_place = _least(plan, places, whatif.slots_that_fit)
    sheet.add("slots_that_fit", slots, "the least over all places", "slots", **by_place)
    if (eight_bit := _eight_bit(plan)) is not None:
        _add_context(plan, sheet, "context_that_fits_q8_0", places, eight_bit)
    quant = whatif.quant_that_fits(plan)
    if quant and plan.weights:
        given: dict[str, Any] = {"weights": plan.weights.bytes, "bits_now": current_bits(plan.model)}
        sheet.add("quant_that_fits", quant[0], "largest file type that fits in every place", "", **given)
        sheet.add("quant_that_fits_size", quant[1], "weights x its bits / bits now", **given)


def _numa(plan: Plan, sheet: _Sheet) -> None:
    values, node = plan.values, smallest_node(plan.values)
    if plan.weights is None:
        return
    weights = plan.weights.bytes
    if node is not None and (numa_nodes(values) or 0) > 1:
        sheet.add("numa_node_size", node, "the smallest node")
        sheet.add("numa_node_missing", max(weights - node, 0), "weights - node, at least 0", weights=weights, node=node)
    kept = copies(values)
    if kept is None or kept < 2:
        return
    whole = Replication(kept, weights, values.integer("host.ram_total"), values.integer("host.swap_total"))
    sheet.add("numa_copies", kept, "one a NUMA node", "copies", nodes=kept)
    sheet.add("numa_need", whole.need, "copies x weights", copies=kept, weights=weights)
    sheet.add(
        "numa_missing", whole.missing, "copies x weights - RAM, at least 0", copies=kept, weights=weights, ram=whole.ram
    )
    missing: dict[str, Any] = {"missing": whole.missing, "swap": whole.swap}
    sheet.add("numa_swap_needed", whole.swap_needed, "missing - swap that is there, at least 0", **missing)
    sheet.add("numa_ram_needed", whole.ram_needed, "need + 2 %, rounded up to 256 GiB", need=whole.need)
    four_bit = _smaller(plan, FOUR_BIT)
    if four_bit is not None:
        sheet.add(
            "numa_need_4bit", kept * four_bit, f"copies x weights at {FOUR_BIT}", copies=kept, weights_4bit=four_bit
        )
    quant = whatif.quant_that_fits(plan)
    if quant:
        expression = "largest file type with copies x size in RAM - reserve"
        sheet.add("numa_quant_that_fits", quant[0], expression, "", ram=whole.ram, reserve=plan.host.reserve)


_SECTIONS = (_model, _cache, _devices, _rates, _host, _changes, _numa)


def _add_context(plan: Plan, sheet: _Sheet, name: str, places: list[Place], shape: CacheShape | None = None) -> None:
    context, by_place = _least(plan, places, lambda p, place: whatif.context_that_fits(p, place, shape))
    if len(places) == 1 or len(by_place) == 1:
        place = next((place for place in places if _key(place.name) in by_place), places[0])
        fixed = sum(part.bytes for part in place.parts if part.kind not in {"kv", "compute", "mapped weights"})
        by_place = {
            "free": place.free,
            "reserve": place.reserve,
            "fixed": fixed,
            "compute": place.part("compute"),
            "kv_share": round(whatif.kv_share(plan, place), 4),
        }
        text = "largest context with fixed + compute + KV x kv_share in free - reserve"
    else:
        text = "the least over all places of the largest context that fits"
    sheet.add(name, context, text, "tokens", **by_place)


def _least(plan: Plan, places: list[Place], find: Find) -> tuple[int | None, dict[str, Any]]:
    """The least of what fits in each place; None if it is known for none, or if nothing fits in one of them."""
    by_place = {_key(place.name): fits for place in places if (fits := find(plan, place)) is not None}
    return min(by_place.values(), default=0) or None, dict(by_place)


def _parts(place: Place) -> dict[str, Any]:
    return {_key(part.kind): place.part(part.kind) for part in place.parts}


def _key(text: str) -> str:
    return text.replace(" ", "_")


def _smaller(plan: Plan, quant: str) -> int | None:
    """Bytes of the weights at ``quant``, None if that is not smaller or not known."""
    if plan.weights is None:
        return None
    size = size_at(plan.model, plan.weights.bytes, quant)
    return size if size is not None and size < plan.weights.bytes else None


def _eight_bit(plan: Plan) -> CacheShape | None:
    """The same cache in q8_0, which needs flash attention; None if it would not be smaller."""
    if plan.shape is None or plan.kv_computed is None:
        return None
    eight_bit = replace(plan.shape, type_k="q8_0", type_v="q8_0", flash_attention=True)
    try:
        return eight_bit if kv_bytes(plan.model, eight_bit) < plan.kv_computed else None
    except ValueError:
        return None
