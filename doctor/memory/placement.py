"""Which device holds what: the engine's buffers by the device that owns them, and each device's share of the layers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from doctor.memory.model import HyperParameters
from doctor.memory.values import Values, integer, number
from doctor.vocabulary.facts import Record

HOST = "host"
_HOST_NAMES = re.compile(r"^(?:CPU|BLAS|AMX|ACCEL)|_Host$|^host$", re.IGNORECASE)
_ENDPOINT = re.compile(r"\[?([A-Za-z0-9_.-]+:\d+)\]?")
_ENGINE_NAME = re.compile(r"^(?:CUDA|ROCm|HIP|MUSA|Vulkan|SYCL|CANN|MTL|Metal|OpenCL|WebGPU|RPC)", re.IGNORECASE)
_SUFFIX = re.compile(r"_(?:Mapped|Split|Private|Shared|REPACK)$")
_PREFIXES = {"cuda": "CUDA", "rocm": "ROCm", "vulkan": "Vulkan", "sycl": "SYCL", "cann": "CANN"}
_MAX_DEVICES = 256
_CONTEXT_KINDS = {"kv", "state", "compute", "output"}


@dataclass(slots=True)
class Device:
    """A device that is not the host, with the buffers that the engine printed for it."""

    name: str
    total: int | None = None
    free: int | None = None
    buffers: dict[str, int] = field(default_factory=dict)
    share: float = 0.0
    """Of the repeating layers, 0 to 1."""


@dataclass(slots=True)
class Placement:
    """Attributes:
    devices: GPUs and RPC workers.
    host: bytes by kind in host memory; ``mapped`` of its weights lie in a mapped file.
    exact: the shares come from buffers that the engine printed, not from settings.
    by_layer: the weights are spread over devices by whole layers, so that a share of the layers is one of the weights.
    """

    devices: list[Device]
    host: dict[str, int] = field(default_factory=dict)
    mapped: int = 0
    exact: bool = False
    by_layer: bool = True

    @property
    def printed_weights(self) -> int:
        return self.host.get("weights", 0) + sum(device.buffers.get("weights", 0) for device in self.devices)

    def printed(self, kind: str) -> int | None:
        """The sum of a kind over host and devices, None if the engine printed none."""
        found = [part[kind] for part in (self.host, *(d.buffers for d in self.devices)) if kind in part]
        return sum(found) if found else None


def is_host(name: str) -> bool:
    """``CPU``, ``CPU_Mapped``, ``CPU_REPACK``, ``CUDA_Host`` are host memory."""
    return bool(_HOST_NAMES.search(name))


def placement(values: Values, model: HyperParameters) -> Placement:
    """Sorts the ``buffer`` records by the ``device`` that owns them."""
    devices = _devices(values)
    found = Placement(devices)
    for kind, name, size in _sizes(values, model):
        if is_host(name):
            found.host[kind] = found.host.get(kind, 0) + size
            if kind == "weights" and name.lower().endswith("_mapped"):
                found.mapped += size
            continue
        device = _owner(name, devices)
        device.buffers[kind] = device.buffers.get(kind, 0) + size
    return found


def share_layers(found: Placement, values: Values, kv: int | None) -> None:
    """Sets each device's share of the repeating layers: from KV buffers, else weights buffers, else the settings.

    Args:
        kv: what the whole KV cache takes. Printed buffers that add up to less are those of a cache that could not be
            allocated as a whole; they don't tell the shares.
    """
    whole = (found.printed("kv") or 0) >= 0.99 * (kv or 0)
    if whole and values.flag("setting.kv_offload") is not False and _proportional(found, "kv", 1.0):
        found.exact = True
    if found.printed_weights and not any(device.buffers.get("weights") for device in found.devices):
        found.exact = True
    layered = _layered(values)
    found.by_layer = layered and not _overridden(values)
    if found.exact or not layered:
        return
    offloaded = _offloaded(values)
    if found.by_layer and _proportional(found, "weights", offloaded):
        return
    split = _split(values, found.devices)
    for device, part in zip(found.devices, split, strict=True):
        device.share = offloaded * part


def _devices(values: Values) -> list[Device]:
    found: list[Device] = []
    listed = values.all("device")[:_MAX_DEVICES]
    # An engine that names the devices it uses does not use the others; old builds count those of ROCm like CUDA's.
    used = {str(record.get("name")) for record in listed if _ENGINE_NAME.match(str(record.get("name") or ""))}
    for record in listed:
        name = str(record.get("name") or _name(record))
        if used and not record.get("name") and name not in used:
            continue
        endpoint = _ENDPOINT.search(f"{name} {record.get('description') or ''}") if "RPC" in name else None
        if name and not is_host(name) and record.get("backend") != "cpu":
            label = f"RPC[{endpoint[1]}]" if endpoint else name
            if all(device.name != label for device in found):
                found.append(Device(label, integer(record.get("total")), integer(record.get("free"))))
    # The same cards come again, under their product names, from nvidia-smi and its like.
    return [device for device in found if _ENGINE_NAME.match(device.name)] or found


def _name(record: Record) -> str:
    """The engine's name for a card that it listed by number only, ``Device 0: NVIDIA GeForce RTX 4090``."""
    prefix, index = _PREFIXES.get(str(record.get("backend"))), integer(record.get("index"))
    return f"{prefix}{index}" if prefix and index is not None else ""


def _owner(name: str, devices: list[Device]) -> Device:
    """The device of a buffer; ``RPC0[127.0.0.1:50201]`` belongs to the worker at that endpoint, whatever its number."""
    endpoint = _ENDPOINT.search(name) if name.startswith("RPC") else None
    label = f"RPC[{endpoint[1]}]" if endpoint else _SUFFIX.sub("", name)
    for device in devices:
        if device.name == label:
            return device
    devices.append(Device(label))
    return devices[-1]


def _sizes(values: Values, model: HyperParameters) -> list[tuple[str, str, int]]:
    """Kind, device and bytes of each buffer that counts.

    A model in several files has a weights buffer for each, and a sliding-window model two KV buffers on each device:
    those add up. Otherwise the buffers of a context come again when the engine makes another one: the last counts.
    """
    found: list[tuple[str, str, int]] = []
    position: dict[tuple[str, str], int] = {}
    for record in sorted(values.all("buffer"), key=_line):
        kind, name, size = record.get("kind"), str(record.get("device") or ""), integer(record.get("bytes"))
        if not kind or not name or size is None:
            continue
        adds = kind not in _CONTEXT_KINDS or (kind == "kv" and model.window)
        seen = position.get((kind, name))
        if seen is not None and not adds:
            found[seen] = (kind, name, size)
            continue
        position[kind, name] = len(found)
        found.append((kind, name, size))
    return found


def _line(record: Record) -> tuple[str, int]:
    return record.origin.path, record.origin.line or 0


def _layered(values: Values) -> bool:
    """Whether layers go to devices one by one, as in llama.cpp and what is built on it."""
    engine = (values.text("engine.name") or "").lower()
    told = values.get("setting.layers_offloaded") is not None or values.get("setting.gpu_layers") is not None
    return "llama" in engine or "kobold" in engine or bool(values.all("buffer")) or (not engine and told)


def _overridden(values: Values) -> bool:
    """Whether some tensors of a layer, mostly experts, are kept elsewhere than the layer."""
    return values.get("setting.override_tensor") is not None or bool(values.number("setting.n_cpu_moe"))


def _proportional(found: Placement, kind: str, of: float) -> bool:
    total = found.printed(kind) if kind == "kv" else sum(d.buffers.get(kind, 0) for d in found.devices)
    if not total:
        return False
    for device in found.devices:
        device.share = of * device.buffers.get(kind, 0) / total
    return True


def _offloaded(values: Values) -> float:
    """The share of the repeating layers that is on devices.

    ``offloaded n/m layers to GPU`` counts the output layer in m. Since pull request 18148 (December 2025) that one goes
    first, so n may stand for n - 1 repeating layers; before, for n. The larger is taken.
    """
    total = values.integer("setting.layers_total")
    layers = values.integer("setting.layers_offloaded")
    if layers is None:
        layers = values.integer("setting.gpu_layers")
        if layers is None and values.number("setting.gpu_layers") is None:
            return 1.0
    repeating = (total - 1) if total else values.integer("model.layers")
    return min((layers or 0) / repeating, 1.0) if repeating else 1.0


def _split(values: Values, devices: Sequence[Device]) -> list[float]:
    """How layers are split over devices: by ``--tensor-split``, by default by free memory (``load_tensors``)."""
    asked = values.get("setting.tensor_split")
    parts = [number(part) or 0.0 for part in asked[: len(devices)]] if isinstance(asked, (list, tuple)) else []
    parts += [0.0] * (len(devices) - len(parts))
    if not any(parts):
        parts = [float(device.free or 0) for device in devices]
    total = sum(parts)
    return [part / total for part in parts] if total else [1 / len(devices)] * len(devices) if devices else []
