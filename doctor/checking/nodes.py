"""Deployments over several machines: which devices an engine has on them, and whether their programs are of one build.

``--target`` is given once a machine, the one that the engine starts on first; RPC workers follow in the order of
``--rpc``. llama.cpp puts RPC devices before its own (src/llama.cpp, ``llama_model_load_from_file_impl``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from doctor.planning.target import Device, Target
from doctor.vocabulary.facts import Fact, Layer, Origin

if TYPE_CHECKING:
    from doctor.checking.machine import Machine
    from doctor.checking.planned import Planned
    from doctor.facts.factset import FactSet

WORKERS = ("rpc-server", "ggml-rpc-server")
_OTHER, _NODE = "deployment.other_node_version", "deployment.other_node"


def together(facts: FactSet, hosts: Sequence[Machine], *, by_rank: bool) -> Target:
    """The machine that the plan counts with: the first, and of the others the devices that the engine uses there.

    Args:
        by_rank: the engine has a rank on every card (vLLM, SGLang); else it may have RPC workers.
    """
    first = hosts[0].target
    others = hosts[1:]
    if by_rank:
        wanted = _count(facts.value("setting.tensor_parallel")) * _count(facts.value("setting.pipeline_parallel"))
        if wanted <= len(first.devices):
            return first
        more = tuple(
            replace(device, name=f"{host.name} {device.name}") for host in others for device in host.target.devices
        )
        return replace(first, devices=(*first.devices, *more))
    endpoints = facts.value("setting.rpc")
    if not isinstance(endpoints, (list, tuple)) or not others:
        return first
    workers = tuple(
        device
        for endpoint, host in zip(endpoints, others, strict=False)
        for device in _offered(str(endpoint), host.target)
    )
    return replace(first, devices=(*workers, *first.devices))


def _offered(endpoint: str, target: Target) -> Iterator[Device]:
    """What a worker offers: its devices, or, without any, its RAM as one."""
    if not target.devices and target.ram:
        free = target.available or target.ram
        yield Device(f"RPC[{endpoint}]", total=target.ram, free=free, description=target.name, backend="rpc")
    for index, device in enumerate(target.devices):
        name = f"RPC[{endpoint}]" + (f"#{index}" if index else "")
        description = f"{target.name}: {device.description}" if device.description else target.name
        yield replace(device, name=name, description=description, backend="rpc", shared=False)


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 1


def compare_versions(runs: Sequence[Planned], hosts: Sequence[Machine]) -> None:
    """Adds to each run with RPC workers the first worker of another build, where the builds are known.

    Workers are declared beside it (an image's tag), or found by the probe of their machine.
    """
    workers = [
        (planned.workload.name if planned.workload else "--command", version)
        for planned in runs
        if planned.run.product in WORKERS and (version := planned.run.versions.get("llama.cpp"))
    ]
    for host in hosts[1:]:
        found = {
            str(record.get("version"))
            for record in host.records
            if record.kind == "program" and record.get("name") in {*WORKERS, "llama-server"} and record.get("version")
        }
        workers += [(host.name, version) for version in sorted(found)]
    for planned in runs:
        facts, own = planned.facts, planned.run.versions.get("llama.cpp")
        if planned.run.product in WORKERS or not isinstance(facts.value("setting.rpc"), (list, tuple)):
            facts.absent |= {_OTHER, _NODE}
        elif own and workers:
            other = next((worker for worker in workers if _build(worker[1]) != _build(own)), None)
            if other is None:
                facts.absent |= {_OTHER, _NODE}
                continue
            origin = Origin("the other machines", None, Layer.FILE)
            facts.add(Fact(_NODE, other[0], origin))
            facts.add(Fact(_OTHER, other[1], origin))


def _build(version: str) -> str:
    """``b6500`` and ``6500 (65c797c4)`` are one build."""
    return version.split(maxsplit=1)[0].removeprefix("b")
