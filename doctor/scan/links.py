"""Which run a kernel line is about, where it tells: by the process that it names, else by its time.

A machine's kernel log is longer than the life of a service: an out of memory of last week is not why it failed today.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from doctor.read.nodes import same_machine
from doctor.read.prefix import envelope
from doctor.read.times import Stamp, parse_stamp

if TYPE_CHECKING:
    from doctor.scan.runs import Observation, Run, Timeline

# Processes as the kernel names them: "Killed process 12 (x)", "x[12]: segfault at", "pid=12", "pid: 12", "pid='12'",
# "task x:12 blocked for more than"
_VICTIM = re.compile(
    r"[Kk]ill(?:ed)? process (\d+)|oom_reaper: reaped process (\d+)|\S\[(\d+)\]:? (?:segfault|general protection|trap )"
    r"|\bpid[=:] ?'?(\d+)|task \S{1,64}:(\d+) blocked for"
)
# A service about itself: uvicorn, vLLM's executors
_OWN = re.compile(r"Started server process \[(\d+)\]|Worker \S+ pid (\d+) died")
_BEFORE_FIRST_LINE = timedelta(minutes=1)  # a process may work before it prints its first line


@dataclass(slots=True)
class _Life:
    """A run with the time of its first line, on each clock that its lines have."""

    run: Run
    begins: dict[str, datetime] = field(default_factory=dict)


def link(timeline: Timeline) -> None:
    """Sets ``about`` of the lines outside of runs: the runs that they are about, none of them, or None if not known."""
    lines: dict[tuple[int, int], list[Observation]] = defaultdict(list)
    for observation in timeline.context:
        lines[observation.source, observation.number].append(observation)
    told = [(victim_of(seen[0].line.text), parse_stamp(seen[0].line.text), seen) for seen in lines.values()]
    if not any(pid is not None or stamp is not None for pid, stamp, _ in told):
        return
    runs = [run for run in timeline.runs if not run.is_wrapper]
    owners: dict[int, list[Run]] = defaultdict(list)
    if any(pid is not None for pid, _, _ in told):
        for run in runs:
            for process in processes_of(run):
                owners[process].append(run)
    services: dict[tuple[str, ...], list[_Life]] = defaultdict(list)
    if any(stamp is not None for _, stamp, _ in told):
        for run in runs:
            services[run.service].append(_life(run))
    for pid, stamp, seen in told:
        node = seen[0].node
        here = [run for run in owners.get(pid or -1, ()) if same_machine(run.node, node)]
        alive = None if stamp is None else _alive(stamp, node, services)
        about = tuple(run for run in here if alive is None or run in alive) or tuple(here) or alive
        for observation in seen:
            observation.about = about


def victim_of(text: str) -> int | None:
    """The process that a kernel line is about."""
    found = _VICTIM.search(text)
    return int(found[found.lastindex]) if found and found.lastindex else None


def processes_of(run: Run) -> set[int]:
    """The processes that print a run's lines, as prefixes name them (``(EngineCore_DP0 pid=12)``, ``unit[12]:``)."""
    found = set()
    for observation in run.observations:
        text = observation.line.text
        if (pid := envelope(text).pid) is not None:
            found.add(pid)
        if own := _OWN.search(text):
            found.add(int(own[1] or own[2]))
    return found


def _life(run: Run) -> _Life:
    life = _Life(run)
    for stamp in _stamps(run.observations):
        life.begins.setdefault(stamp.clock, stamp.time)
        if len(life.begins) > 1:
            break
    return life


def _stamps(observations: Iterable[Observation], most: int = 50) -> list[Stamp]:
    found = (parse_stamp(observation.line.text) for _, observation in zip(range(most), observations, strict=False))
    return [stamp for stamp in found if stamp is not None]


def _alive(stamp: Stamp, node: str, services: dict[tuple[str, ...], list[_Life]]) -> tuple[Run, ...] | None:
    """Of each service of a machine the run that was current at a time; None if their times can't be compared."""
    alive: list[Run] = []
    compared = False
    for service, lives in services.items():
        if not same_machine(service[0], node):
            continue
        dated = [(life.begins[stamp.clock], life.run) for life in lives if stamp.clock in life.begins]
        if len(dated) < len(lives):
            return None
        compared = True
        dated.sort(key=lambda entry: entry[0])
        before = [run for begin, run in dated if begin <= stamp.time]
        if before:
            alive.append(before[-1])
        elif stamp.time >= dated[0][0] - _BEFORE_FIRST_LINE:
            alive.append(dated[0][1])
    return tuple(alive) if compared else None
