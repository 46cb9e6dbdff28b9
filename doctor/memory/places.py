"""The plan: what lies on each device and in host memory, what is free there, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from doctor.memory.compute import compute_bytes
from doctor.memory.kv import CacheShape, kv_bytes
from doctor.memory.model import HyperParameters
from doctor.memory.numa import copies
from doctor.memory.placement import Device, Placement, placement, share_layers
from doctor.memory.values import Records, Resolve, Values
from doctor.memory.weights import embedding_bytes, layer_bytes, output_bytes, quant_name, weights_on_disk
from doctor.units import GIB, MIB

Source = Literal["log", "estimate", "measured"]

DEVICE_RESERVE = GIB
"""Kept free on a device, as by llama.cpp's ``--fit-target`` (default in common/common.h); at most an eighth of it."""
HOST_RESERVE = 64 * MIB
"""Kept of host memory at least: llama.cpp 0.5.0-dev had 20 MiB beside its weights, KV cache and compute buffer."""
HOST_RESERVE_SHARE = 20
"""One part in so many is left to the rest of the system."""


@dataclass(frozen=True, slots=True)
class Part:
    """Memory of one kind: ``log`` if the engine printed the figure, ``measured`` if it was asked, else ``estimate``."""

    kind: str
    bytes: int
    source: Source


@dataclass(slots=True)
class Place:
    """A device, or the host, with its parts.

    Attributes:
        share: of the repeating layers.
        reserve: bytes to keep free.
    """

    name: str
    parts: list[Part] = field(default_factory=list)
    total: int | None = None
    free: int | None = None
    share: float = 0.0
    reserve: int = 0

    def part(self, kind: str) -> int:
        return sum(part.bytes for part in self.parts if part.kind == kind)

    @property
    def need(self) -> int:
        """Bytes that must be there. Mapped weights don't count: the kernel may drop and read them again."""
        return sum(part.bytes for part in self.parts if part.kind != "mapped weights")

    @property
    def missing(self) -> int | None:
        """What is needed and not free, 0 if it fits; None if what is free is not known."""
        return None if self.free is None else max(self.need - self.free, 0)

    @property
    def headroom(self) -> int | None:
        return None if self.free is None else self.free - self.need


@dataclass(slots=True)
class Plan:
    """What a run needs where.

    Attributes:
        shape: None when the context is not known.
        weights, kv: bytes of all, with where the figure is from; None if neither printed nor computable.
        weights_from: says what the figure is.
        kv_computed: the cache by the arithmetic, to be compared with the printed one.
        compute: bytes of the largest compute buffer.
        kv_on_devices: each layer's cache lies where the layer does; else all of it in host memory.
        by_layer: see ``Placement``.
        disagreement: says so if the engine's KV cache is not what the arithmetic gives.
    """

    values: Values
    model: HyperParameters
    shape: CacheShape | None
    devices: list[Place]
    host: Place
    weights: Part | None = None
    weights_from: str = ""
    kv: Part | None = None
    kv_computed: int | None = None
    compute: Part | None = None
    kv_on_devices: bool = True
    by_layer: bool = True
    disagreement: str | None = None

    @property
    def tightest(self) -> Place | None:
        """The device that lacks most, or has the least left: where memory ran out if it did. None without figures."""
        known = [(device.headroom, device) for device in self.devices if device.headroom is not None and device.parts]
        return min(known, key=lambda pair: pair[0])[1] if known else None


def make_plan(resolve: Resolve, records: Records) -> Plan:
    """The plan of one run from its facts and records."""
    values = Values(resolve, records)
    model = HyperParameters.from_facts(values)
    on_disk = weights_on_disk(values)
    if model.quant is None and model.bpw is None:
        named = on_disk[1] if on_disk else None
        model = replace(model, quant=named or quant_name(values.text("setting.model_path")))
    placed = placement(values, model)
    printed_kv = placed.printed("kv")
    model, shape, computed, disagreement = _cache(model, CacheShape.from_facts(values), printed_kv)
    share_layers(placed, values, computed)
    plan = Plan(values, model, shape, [], Place("host"), kv_computed=computed, disagreement=disagreement)
    plan.kv_on_devices = values.flag("setting.kv_offload") is not False
    plan.by_layer = placed.by_layer
    plan.weights, plan.weights_from = _weights(model, placed, on_disk[0] if on_disk else None)
    if printed_kv is not None and printed_kv >= 0.99 * (computed or 0):
        plan.kv = Part("kv", printed_kv, "log")
    elif computed is not None:
        plan.kv = Part("kv", computed, "estimate")
    printed_compute = [d.buffers.get("compute", 0) for d in placed.devices] + [placed.host.get("compute", 0)]
    estimated = compute_bytes(model, shape) if shape else None
    if any(printed_compute):
        plan.compute = Part("compute", max(printed_compute), "log")
    elif estimated is not None:
        plan.compute = Part("compute", estimated, "estimate")
    plan.devices = [_device(device, plan, last=device is placed.devices[-1]) for device in placed.devices]
    plan.host = _host(placed, plan)
    return plan


def _cache(
    model: HyperParameters, shape: CacheShape | None, printed: int | None
) -> tuple[HyperParameters, CacheShape | None, int | None, str | None]:
    """The KV cache by the arithmetic, in the layout that agrees with what the engine printed, and a disagreement.

    Layouts differ between versions that a log does not always tell: a compressed cache with or without V, windows
    that shrink the cache or not. If none agrees the arithmetic is not used at all.
    """
    if shape is None:
        return model, None, None, None
    layouts = [
        (model, shape),
        (replace(model, mla_keeps_v=not model.mla_keeps_v), shape),
        (model, replace(shape, full_window=True)),
    ]
    sizes = []
    for variant, settings in layouts:
        try:
            sizes.append(kv_bytes(variant, settings))
        except ValueError:
            return model, shape, None, None
    for (variant, settings), size in zip(layouts, sizes, strict=True):
        if printed is not None and _agree(printed, size):
            return variant, settings, size, None
    if printed is None or printed < sizes[0]:  # not printed, or only a part before an allocation failed
        return model, shape, sizes[0], None
    return model, shape, None, f"the engine's KV cache has {printed} bytes, the arithmetic gives {sizes[0]}"


def _agree(printed: int, computed: int) -> bool:
    """The engine prints two decimals of a MiB a buffer, and pads tensors to the device's alignment."""
    return abs(printed - computed) <= max(0.002 * computed, 0.02 * MIB)


def _weights(model: HyperParameters, placed: Placement, on_disk: int | None) -> tuple[Part | None, str]:
    """All weights, and where the figure is from: the buffers where they agree with the file (they are finer)."""
    printed = placed.printed_weights
    if model.file_size and (not printed or abs(printed - model.file_size) > 0.01 * model.file_size):
        return Part("weights", model.file_size, "log"), "file size that the engine printed"
    if printed:
        return Part("weights", printed, "log"), "sum of the weights buffers"
    return (Part("weights", on_disk, "log"), "size of the model's files") if on_disk else (None, "")


def _device(device: Device, plan: Plan, *, last: bool) -> Place:
    """The parts of a device; of several the last one holds the output layer."""
    place = Place(device.name, [], device.total, device.free, device.share)
    reserve = plan.values.integer("setting.reserve")
    # A reserve of 0 (the default of RPC servers) says nothing about what to leave free in a plan that works.
    place.reserve = reserve or min(DEVICE_RESERVE, (device.free or 0) // 8)
    if "weights" in device.buffers:
        place.parts.append(Part("weights", device.buffers["weights"], "log"))
    elif plan.weights and device.share and plan.by_layer:
        size = plan.weights.bytes * device.share
        if plan.model.layers:
            size = layer_bytes(plan.model, plan.weights.bytes) * plan.model.layers * device.share
            size += output_bytes(plan.model) if last else 0
        place.parts.append(Part("weights", round(size), "estimate"))
    if "kv" in device.buffers and plan.kv and plan.kv.source == "log":
        place.parts.append(Part("kv", device.buffers["kv"], "log"))
    elif plan.kv and plan.kv_on_devices and device.share:
        place.parts.append(Part("kv", round(plan.kv.bytes * device.share), "estimate"))
    _printed(place, device.buffers, ("repack", "state", "output", "compute", "host"))
    if "compute" not in device.buffers and plan.compute and device.share:
        # Of several devices the first that is refused its buffer ends it: the others need about as much.
        place.parts.append(Part("compute", plan.compute.bytes, "estimate"))
    return place


def _host(placed: Placement, plan: Plan) -> Place:
    values = plan.values
    place = Place("host", [], values.integer("host.ram_total"))
    if not worked(values):
        place.free = values.integer("host.ram_available")
    limit = values.integer("host.cgroup_limit")
    if limit and (place.total is None or limit < place.total):
        place.total = limit
        place.free = min(limit, place.free) if place.free is not None else limit
    place.reserve = max(HOST_RESERVE, (place.free or place.total or 0) // HOST_RESERVE_SHARE)
    place.parts += _host_weights(placed, plan)
    on_devices = min(sum(device.share for device in plan.devices), 1.0) if plan.kv_on_devices else 0.0
    if "kv" in placed.host and plan.kv and plan.kv.source == "log":
        place.parts.append(Part("kv", placed.host["kv"], "log"))
    elif plan.kv and on_devices < 1.0:
        place.parts.append(Part("kv", round(plan.kv.bytes * (1 - on_devices)), "estimate"))
    _printed(place, placed.host, ("repack", "state", "output", "compute", "host"))
    if "compute" not in placed.host and not plan.devices and plan.compute and plan.compute.source == "estimate":
        place.parts.append(plan.compute)
    return place


def _host_weights(placed: Placement, plan: Plan) -> list[Part]:
    """Weights in host memory, those in a mapped file apart unless they are locked."""
    size, mapped = placed.host.get("weights"), placed.mapped
    source: Source = "log"
    if size is None:
        if plan.weights is None or _on_gpus_only(plan.values):
            return []
        on_devices = sum(device.part("weights") for device in plan.devices)
        size, source = max(plan.weights.bytes - on_devices, 0), "estimate"
        if plan.devices and size < embedding_bytes(plan.model):
            size = embedding_bytes(plan.model)
        size *= copies(plan.values) or 1
        mapped = size if _maps(plan.values) else 0
    elif mapped and plan.weights and placed.printed_weights > 1.01 * plan.weights.bytes:
        # A mapped buffer spans the file from its first tensor to its last, those that lie on devices in between too.
        beside = max(plan.weights.bytes - sum(device.part("weights") for device in plan.devices), 0)
        size, mapped = size - mapped + min(mapped, beside), min(mapped, beside)
    if plan.values.flag("setting.mlock"):
        mapped = 0
    parts = [Part("weights", size - mapped, source)] if size > mapped else []
    return parts + ([Part("mapped weights", mapped, source)] if mapped else [])


def worked(values: Values) -> bool:
    """Whether the run is seen to have computed tokens. What was available then is what it left, not what it had."""
    return values.get("speed.generation") is not None or values.get("speed.prompt") is not None


def _on_gpus_only(values: Values) -> bool:
    """Engines that load all weights into device memory."""
    return (values.text("engine.name") or "").lower() in {"vllm", "sglang", "tgi", "lmdeploy"}


def _maps(values: Values) -> bool:
    """llama.cpp maps the file by default; ktransformers copies the weights into memory of its own."""
    if "ktransformers" in (values.text("engine.name") or "") or copies(values):
        return False
    return values.flag("setting.mmap") is not False and not values.flag("setting.direct_io")


def _printed(place: Place, buffers: dict[str, int], kinds: tuple[str, ...]) -> None:
    place.parts += [Part(kind, buffers[kind], "log") for kind in kinds if kind in buffers]
