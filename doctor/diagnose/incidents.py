"""Which runs belong together: the last life of a service, its workers, the kernel lines and files beside them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from doctor.scan.runs import Observation, Run, Timeline

_ROTATION = re.compile(r"(?:[.-]\d{4}-?\d\d-?\d\d|\.\d{1,3}|\.log|\.txt|\.old|\.prev(?:ious)?)+$")


@dataclass(slots=True)
class Incident:
    """``runs``: the last run of one service with its wrapper and its workers; ``earlier``: the service's history."""

    id: str
    runs: list[Run] = field(default_factory=list)
    earlier: list[Run] = field(default_factory=list)
    context: list[Observation] = field(default_factory=list)


def service_of(run: Run) -> tuple[str, str, str]:
    """The service that a run is a life of: node, log file (rotated names count as one), product."""
    return (run.node, _ROTATION.sub("", run.path), run.engine or "")


def build_incidents(timeline: Timeline, which: str = "last") -> list[Incident]:
    """One incident a service. RPC workers join the services that use them (all, as their logs seldom say whose).

    Args:
        timeline: all runs.
        which: ``last`` judges each service's last run, ``all`` every run, a number the run of that number.
    """
    services: dict[tuple[str, str, str], list[Run]] = defaultdict(list)
    workers: list[Run] = []
    wrappers = [run for run in timeline.runs if run.is_wrapper]
    engines = [run for run in timeline.runs if not run.is_wrapper]
    only_workers = all(run.is_worker for run in engines)
    for run in engines:
        if run.is_worker and not only_workers:
            workers.append(run)
        else:
            services[service_of(run)].append(run)
    for wrapper in wrappers:
        if not any(run.parent is wrapper for run in engines):
            services[service_of(wrapper)].append(wrapper)
    incidents: list[Incident] = []
    last_workers = _last_of_each(workers)
    for runs in services.values():
        for judged in _choose(runs, which):
            incident = Incident(f"incident-{len(incidents) + 1}", context=list(timeline.context))
            parents = [run.parent for run in (judged, *last_workers) if run.parent]
            incident.runs = list({run.id: run for run in (judged, *parents, *last_workers)}.values())
            incident.earlier = [run for run in runs if run is not judged] if which == "last" else []
            for run in incident.runs:
                run.incident = run.incident or incident.id
            incidents.append(incident)
    if not incidents:
        incidents.append(Incident("incident-1", runs=list(last_workers), context=list(timeline.context)))
    return incidents


def _last_of_each(runs: Sequence[Run]) -> list[Run]:
    last: dict[tuple[str, str, str], Run] = {}
    for run in runs:
        last[service_of(run)] = run
    return list(last.values())


def _choose(runs: list[Run], which: str) -> list[Run]:
    if which == "all":
        return runs
    if which.isdecimal():
        return [run for run in runs if run.id == f"run-{which}"]
    return runs[-1:]
