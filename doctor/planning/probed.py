"""A machine from a probe document, or from asking this one now."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from doctor.errors import UsageProblem
from doctor.memory.bandwidth import bandwidth_of
from doctor.memory.values import integer
from doctor.planning.cards import card_bandwidth
from doctor.planning.target import MAX_DEVICES, Device, Target, backend_of, device_name, metal_limit
from doctor.units import parse_size

_ENGINE_NAME = re.compile(r"(?:CUDA|ROCm|Vulkan|SYCL|CANN|MTL)\d+$")


def this_machine() -> Target:
    """This machine as it is now; takes about a second and a half."""
    from doctor.probe.read import fill
    from doctor.probe.take import take

    return from_probe(fill(take()).to_dict(), "this machine")


def from_probe(data: Mapping[str, Any], name: str) -> Target:
    """The machine of a probe document: its ``facts`` and its ``device`` records.

    Raises:
        UsageProblem: the parts of the document are not what they should be.
    """
    facts, records = data.get("facts") or {}, data.get("records") or {}
    if not isinstance(facts, Mapping) or not isinstance(records, Mapping):
        raise UsageProblem("'facts' and 'records' are not 'key: value'", subject=name, hint="llmdoctor probe -o FILE")
    if not facts and data.get("answers"):
        facts, records = _read_again(data)
    ram, available = _size(facts, "host.ram_total"), _size(facts, "host.ram_available")
    chip = str(facts.get("host.cpu_model") or "")
    listed = records.get("device")
    assumed: list[str] = []
    devices: list[Device] = []
    for record in listed if isinstance(listed, list) else []:
        if isinstance(record, Mapping) and len(devices) < MAX_DEVICES:
            device = _device(record, len(devices), ram, assumed)
            if device is not None:
                devices.append(device)
    flags = facts.get("host.cpu_flags")
    limit = _size(facts, "host.cgroup_limit")
    return Target(
        name=str(data.get("host") or name)[:200],
        devices=tuple(devices),
        ram=ram,
        available=available,
        limit=limit if limit and (not ram or limit < ram) else None,
        bandwidth=bandwidth_of(chip),
        numa_nodes=integer(facts.get("host.numa_nodes")),
        cpu_flags=frozenset(map(str, flags)) if isinstance(flags, list) else frozenset(),
        assumed=tuple(assumed),
    )


def _read_again(data: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Facts of a document that holds the answers only."""
    from pydantic import TypeAdapter, ValidationError

    from doctor.probe.document import Probe
    from doctor.probe.read import fill

    try:
        probe = fill(TypeAdapter(Probe).validate_python(dict(data)))
    except ValidationError as error:
        raise UsageProblem(f"no probe document: {error.errors()[0]['msg']}", subject="--target") from None
    return probe.facts, probe.records


def _device(record: Mapping[str, Any], index: int, ram: int | None, assumed: list[str]) -> Device | None:
    """A GPU; None for the CPU, a software renderer, or one whose memory is not known."""
    description = str(record.get("description") or "")[:200]
    if record.get("software") or record.get("backend") == "cpu":
        return None
    backend = str(record.get("backend") or backend_of(description)).lower()
    shared = bool(record.get("integrated")) or backend == "metal"
    total = _size(record, "total")
    if total is None and backend == "metal" and ram is not None:
        total = metal_limit(ram)
        assumed.append("What the GPU may hold is taken as macOS' default share of the memory.")
    if not total:
        if description:
            assumed.append(f"{description} is left out: its memory is not known.")
        return None
    told = str(record.get("name") or "")
    name = told if _ENGINE_NAME.match(told) else device_name(backend, index)
    free, used = _size(record, "free"), _size(record, "used")
    if free is None:
        free = total - used if used is not None else total
    return Device(name, total, max(min(free, total), 0), description, backend, card_bandwidth(description), shared)


def _size(values: Mapping[str, Any], key: str) -> int | None:
    """A size in bytes or in words; None for what is neither."""
    value = values.get(key)
    if isinstance(value, str):
        try:
            return parse_size(value)
        except ValueError:
            return None
    return integer(value)
