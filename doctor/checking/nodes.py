"""Deployments over several machines: whether their programs are of one build."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from doctor.vocabulary.facts import Fact, Layer, Origin

if TYPE_CHECKING:
    from doctor.checking.machine import Machine
    from doctor.checking.planned import Planned

WORKERS = ("rpc-server", "ggml-rpc-server")
_OTHER, _NODE = "deployment.other_node_version", "deployment.other_node"


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
