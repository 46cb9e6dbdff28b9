"""The machine that a deployment is to run on, as facts and records; ``doctor.planning.target`` reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from doctor.planning.target import EXAMPLES, THIS, Device, Target, keeping, read_target
from doctor.units import parse_size
from doctor.vocabulary.facts import ABSENT, Fact, Layer, Origin, Record

# Of the shell that asked, or of the container that it ran in; a deployment has its own.
_OF_WHO_ASKED = frozenset(
    {
        "host.memlock_limit", "host.shm_size", "host.shm_free", "host.open_files_limit", "host.address_space_limit",
        "host.cgroup_limit", "host.cgroup_usage", "host.cgroup_peak", "host.cgroup_swap_limit",
        "host.cgroup_oom_kills", "host.container_oom_killed", "host.user", "host.groups", "host.container",
    }
)  # fmt: skip
_RECORDS = frozenset({"numa_node", "disk", "filesystem", "program", "package", "device_file"})


@dataclass(frozen=True, slots=True)
class Machine:
    """Attributes:
    target: for the plan; facts and records: for the rules, weaker than what a deployment says.
    """

    name: str
    target: Target
    facts: Sequence[Fact] = field(default_factory=tuple)
    records: Sequence[Record] = field(default_factory=tuple)


def machines(named: Sequence[str], reserve: int = 0) -> list[Machine]:
    """Each target in the order given, with so many bytes of every device to be left free at the least.

    Raises:
        UsageProblem: no such target, or one that can't be used.
    """
    return [_machine(text, reserve) for text in named]


def _machine(text: str, reserve: int) -> Machine:
    if text == THIS and not Path(text).exists():
        from doctor.planning.probed import from_probe
        from doctor.probe.read import fill
        from doctor.probe.take import take

        data: Mapping[str, Any] = fill(take()).to_dict()
        target = from_probe(data, "this machine")
    else:
        target = read_target(text)
        data = _data(text)
    target = keeping(target, reserve)
    origin = Origin(f"--target {text}", None, Layer.FILE)
    values = _told(data)
    values |= {
        name: value
        for name, value in (
            ("host.ram_total", target.ram),
            ("host.ram_available", target.available),
            ("host.cgroup_limit", target.limit),
            ("host.numa_nodes", target.numa_nodes),
            ("host.cpu_flags", sorted(target.cpu_flags) or None),
        )
        if value is not None
    }
    facts = [Fact(name, value, origin) for name, value in values.items()]
    records = [_device(device, index, origin) for index, device in enumerate(target.devices)]
    listed = data.get("records")
    for kind, elements in listed.items() if isinstance(listed, Mapping) else ():
        if kind in _RECORDS and isinstance(elements, list):
            records += [Record(str(kind), dict(each), origin) for each in elements if isinstance(each, Mapping)]
    return Machine(target.name, target, facts, records)


def _data(text: str) -> Mapping[str, Any]:
    """The file once more, for what the plan has no use for."""
    from doctor.model.plain import load_yaml

    path = Path(text)
    return load_yaml(path if path.is_file() else EXAMPLES / f"{path.name}.yaml")


def _told(data: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of a probe document, or what else a few lines of YAML say."""
    from doctor.facts.catalogue import load_catalogue
    from doctor.facts.convert import convert

    found: dict[str, Any] = {}
    told = data.get("facts")
    for name, value in told.items() if isinstance(told, Mapping) else ():
        kind = load_catalogue().type_of(str(name))
        if kind is None or not str(name).startswith("host.") or name in _OF_WHO_ASKED:
            continue
        typed = convert(value, kind) if isinstance(value, str) else value
        found[str(name)] = ABSENT if typed is None else typed
    sockets, swap = data.get("sockets"), data.get("swap")
    if isinstance(sockets, int) and 0 < sockets < 1024:
        found["host.cpu_sockets"] = sockets
    if swap is not None:
        with suppress(ValueError):  # ``read_target`` is strict about what the plan counts with; this is a hint only
            found["host.swap_total"] = swap if isinstance(swap, int) else parse_size(str(swap))
    return found


def _device(device: Device, index: int, origin: Origin) -> Record:
    fields: dict[str, Any] = {
        "name": device.name,
        "index": index,
        "backend": device.backend or None,
        "description": device.description or None,
        "total": device.total,
        "free": device.free,
        "integrated": device.shared,
    }
    return Record("device", {name: value for name, value in fields.items() if value is not None}, origin)
