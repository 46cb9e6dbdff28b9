"""Runners: a setup is started, a workload is put to it, and what it wrote is kept as a case -> Trial.

``command`` starts an engine's program, ``embedded`` loads the model by llama-cpp-python in a child process,
``endpoint`` asks a server that is already up. They share ``drive``; none of them judges anything.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from doctor.trial.workload import Outcome, Workload

if TYPE_CHECKING:
    from doctor.trial.launch import Child, Ending
    from doctor.trial.setup import Setup

Stage = Callable[[str], None]
ENGINE_LOG, CLIENT_LOG, KERNEL_LOG = "engine.log", "client.log", "kernel.log"
ENDING, LIMITS = "ending.json", "limits.txt"


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds.

    Attributes:
        deadline: for a whole trial.
        stall: without a sign of life while loading, or a byte of an answer, until it counts as hung.
    """

    deadline: float = 600.0
    stall: float = 60.0


@dataclass(slots=True)
class Trial:
    """One isolated run.

    Attributes:
        folder: its logs, as a case that ``doctor.analyze`` reads.
        ready: seconds until it served (or the model was loaded); None when it never did.
        outcome: how the workload went.
        ending: how the process ended; None for an endpoint that goes on.
        stopped: it lived until we ended it.
        hung: no sign of life for as long as the stall clock allows.
        address: where it served.
        not_run: why it could not be started at all; empty when it was.
    """

    setup: Setup
    workload: Workload
    folder: Path
    ready: float | None = None
    outcome: Outcome = field(default_factory=Outcome)
    ending: Ending | None = None
    stopped: bool = False
    hung: bool = False
    address: str = ""
    not_run: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def serves(self) -> bool:
        """Whether requests are put to it; another program works by itself until it ends."""
        return bool(self.address) or self.setup.python

    @property
    def log(self) -> Path:
        return self.folder / ENGINE_LOG

    @property
    def is_through(self) -> bool:
        """It became ready, and the whole workload was answered."""
        return self.ready is not None and not self.hung and self.outcome.is_through

    def paths(self) -> list[str]:
        """The files of the case: the engine's log, even an empty one, and what lies beside it and holds something."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log.touch()
        beside = [path for path in sorted(self.folder.glob("*.*")) if path.is_file() and path.stat().st_size]
        return [str(self.log), *(str(path) for path in beside if path != self.log)]


class Session(Protocol):
    """What differs between runners once the program runs."""

    def is_ready(self) -> bool:
        """Whether requests can be put."""

    def work(self, workload: Workload, alive: Callable[[], bool], stage: Stage, begun: Callable[[], None]) -> Outcome:
        """Puts the workload. ``begun`` is called at the first sign that it is being worked on."""


def drive(
    trial: Trial, child: Child, session: Session, clocks: Clocks, stage: Stage, begun: Callable[[str], None]
) -> None:
    """From the start to the end of the workload. The child is left as it is.

    Args:
        begun: told ``loaded`` and ``generating``: when faults are due.
    """
    start = time.monotonic()
    stage("loading")
    size, heard, cpu = -1, start, -1.0
    while trial.ready is None:
        trial.ending = child.ending(0.05)
        now = time.monotonic()
        if trial.ending is not None:
            return
        if session.is_ready():
            trial.ready = now - start
            break
        if (seen := _size(child.output)) != size:
            size, heard = seen, now
        if (used := _cpu(child.pid)) > cpu + 0.01:
            cpu, heard = used, now
        if now - heard > clocks.stall or now - start > clocks.deadline:
            trial.hung = True
            return
    begun("loaded")
    trial.outcome = session.work(trial.workload, lambda: child.ending(0) is None, stage, lambda: begun("generating"))
    trial.hung = trial.outcome.stalled
    # An engine that aborts on a request closes the connection first; it is given the time to end by itself.
    trial.ending = child.ending(2.0 if not trial.outcome.is_through and not trial.hung else 0)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _cpu(pid: int) -> float:
    import psutil

    try:
        process = psutil.Process(pid)
        return sum(sum(each.cpu_times()[:2]) for each in (process, *process.children(recursive=True)))
    except psutil.Error:
        return 0.0


def finish(trial: Trial, child: Child) -> None:
    """Ends the program if it still runs, and writes beside its log what else there is to say."""
    if trial.ending is None:
        # What hangs does not listen to SIGTERM either.
        trial.ending = child.stop(0.5 if trial.hung else 5.0)
        trial.stopped = True
    write_beside(trial)


def write_beside(trial: Trial) -> None:
    """The kernel's words, the limits, and what clients were told: files that are read as anybody's would be."""
    ending, setup = trial.ending, trial.setup
    if ending is not None and (kernel := _own_lines(trial, ending)):
        (trial.folder / KERNEL_LOG).write_text("\n".join(kernel) + "\n", encoding="utf-8", errors="replace")
    if ending is not None and (trial.hung or not trial.stopped):  # how we ended a healthy one says nothing of it
        said = {**ending.to_dict(), "kernel": [], "why": "stalled" if trial.hung else ending.why}
        (trial.folder / ENDING).write_text(json.dumps(said) + "\n", encoding="utf-8")
    bad = [answer for answer in trial.outcome.answers if not answer.is_good]
    if bad:
        lines = [f"client: {answer.asked}: {answer.error}" for answer in bad]
        (trial.folder / CLIENT_LOG).write_text("\n".join(lines) + "\n", encoding="utf-8", errors="replace")
    told = []
    if setup.address_space or setup.locked_memory:
        told.append("Limit                     Soft Limit           Hard Limit           Units")
        for name, size in (("locked memory", setup.locked_memory), ("address space", setup.address_space)):
            if size:
                told.append(f"Max {name:<21} {size:<20} {size:<20} bytes")
    if setup.memory:
        told += ["0::/trial", f"/sys/fs/cgroup/trial/memory.max:{setup.memory}"]
    if told:
        (trial.folder / LIMITS).write_text("\n".join(told) + "\n")


_OOM = re.compile(r"oom|out of memory|Killed process|(?:memory|memory\+swap|kmem): usage|swapents", re.IGNORECASE)


def _own_lines(trial: Trial, ending: Ending) -> list[str]:
    """The kernel's words of its time, without its words on another program that it killed for memory meanwhile."""
    killed = ending.why == "out_of_memory" or (ending.signal == "SIGKILL" and not trial.stopped)
    return [line for line in ending.kernel if killed or not _OOM.search(line)]


def run_trial(
    setup: Setup, workload: Workload, folder: Path, clocks: Clocks, stage: Stage = lambda _text: None
) -> Trial:
    """One trial by the runner that fits the setup; never raises for what an engine does."""
    folder.mkdir(parents=True, exist_ok=True)
    if setup.python:
        from doctor.trial.runners.embedded import run
    else:
        from doctor.trial.runners.command import run
    return run(setup, workload, folder, clocks, stage)
