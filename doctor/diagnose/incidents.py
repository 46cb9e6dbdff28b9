"""Which runs belong together: the last life of a service, its workers, the kernel lines and files beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from doctor.read.nodes import same_machine
from doctor.read.rotation import rotation

if TYPE_CHECKING:
    from doctor.scan.runs import Observation, Run, Timeline


@dataclass(slots=True)
class Incident:
    """What is judged together.

    Attributes:
        runs: the last run of one service with its wrapper and its workers.
        earlier: the service's history.
        context: lines outside of runs that may say something about ``runs``.
        about: by run, the lines that are known to be about it.
    """

    id: str
    runs: list[Run] = field(default_factory=list)
    earlier: list[Run] = field(default_factory=list)
    context: list[Observation] = field(default_factory=list)
    about: Mapping[str, list[Observation]] = field(default_factory=dict)


def build_incidents(timeline: Timeline, which: str = "last") -> list[Incident]:
    """One incident a service. RPC workers join the services that use them (all, as their logs seldom say whose).

    Args:
        timeline: all runs.
        which: ``last`` judges each service's last run, ``all`` every run, a number the run of that number.
    """
    services: dict[tuple[str, ...], list[Run]] = defaultdict(list)
    workers: list[Run] = []
    wrappers = [run for run in timeline.runs if run.is_wrapper]
    engines = [run for run in timeline.runs if not run.is_wrapper]
    only_workers = all(run.is_worker for run in engines)
    for run in engines:
        if run.is_worker and not only_workers:
            workers.append(run)
        else:
            services[run.service].append(run)
    with_engines = {run.parent.id for run in engines if run.parent}
    for wrapper in wrappers:
        if wrapper.id not in with_engines:
            services[wrapper.service].append(wrapper)
    incidents: list[Incident] = []
    beside = _Beside(timeline, single=len(services) < 2)
    last_workers = _last_of_each(workers)
    for runs in services.values():
        runs.sort(key=lambda run: rotation(run.path)[1])
        for judged in _choose(runs, which):
            parents = [run.parent for run in (judged, *last_workers) if run.parent]
            together = list({run.id: run for run in (judged, *parents, *last_workers)}.values())
            name = f"incident-{len(incidents) + 1}"
            incident = Incident(name, together, context=beside.of(together), about=beside.about)
            incident.earlier = [run for run in runs if run is not judged] if which == "last" else []
            for run in incident.runs:
                run.incident = run.incident or incident.id
            incidents.append(incident)
    if not incidents:
        incidents.append(Incident("incident-1", runs=list(last_workers), context=list(timeline.context)))
    for context in beside.alone():
        incidents.append(Incident(f"incident-{len(incidents) + 1}", context=context))
    return incidents


def main_runs(timeline: Timeline, incidents: Sequence[Incident]) -> list[Run]:
    """The runs that are judged, without the workers that only serve them."""
    wanted = {run.id for incident in incidents for run in incident.runs}
    judged = [run for run in timeline.runs if run.id in wanted]
    return [run for run in judged if not run.is_worker] or judged


@dataclass(slots=True)
class _Beside:
    """Who judges the lines outside of runs.

    Those of a machine go with its own runs. A machine of which there are no runs (of an RPC worker without a log, say)
    speaks to the only service, or for itself where there are several.
    """

    timeline: Timeline
    single: bool
    about: dict[str, list[Observation]] = field(default_factory=lambda: defaultdict(list))
    _open: dict[str, list[Observation]] = field(default_factory=lambda: defaultdict(list))
    _nodes: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._nodes = {run.node for run in self.timeline.runs}
        for seen in self.timeline.context:
            if seen.about is None:
                self._open[seen.node].append(seen)
            for run in seen.about or ():
                self.about[run.id].append(seen)

    def of(self, runs: Sequence[Run]) -> list[Observation]:
        """The lines that may say something about these runs."""
        nodes = {run.node for run in runs}
        found: list[Observation] = []
        for node, lines in self._open.items():
            if any(same_machine(own, node) for own in nodes) or (self.single and self._is_silent(node)):
                found += lines
        found += dict.fromkeys(seen for run in runs for seen in self.about.get(run.id, ()))
        return found

    def alone(self) -> list[list[Observation]]:
        """The lines of each machine that nobody else judges."""
        return [] if self.single else [lines for node, lines in self._open.items() if self._is_silent(node)]

    def _is_silent(self, node: str) -> bool:
        return not any(same_machine(own, node) for own in self._nodes)


def _last_of_each(runs: Sequence[Run]) -> list[Run]:
    last: dict[tuple[str, ...], Run] = {}
    for run in runs:
        last[run.service] = run
    return list(last.values())


def _choose(runs: list[Run], which: str) -> list[Run]:
    if which == "all":
        return runs
    if which.isdecimal():
        return [run for run in runs if run.id == f"run-{which}"]
    return runs[-1:]
