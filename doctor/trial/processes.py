"""Processes, as /proc tells of them: whose children they are and since when they run. Standard library only.

Format: proc(5). Where there is no /proc (macOS) nothing is known, and only the process group can be signalled.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator

TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Stat:
    """A line of /proc/PID/stat: ``pid``, ``name``, ``state``, ``parent``, ``group``, ``faults`` (major), ``ticks``
    (CPU), ``started`` (ticks since boot)."""

    __slots__ = ("faults", "group", "name", "parent", "pid", "started", "state", "ticks")

    def __init__(self, text: bytes) -> None:
        head, _, rest = text.rpartition(b")")  # the name may hold blanks and brackets
        pid, _, name = head.partition(b" (")
        words = rest.split()
        self.pid, self.name = int(pid), name.decode("utf-8", "replace")
        self.state, self.parent, self.group = words[0].decode(), int(words[1]), int(words[2])
        self.faults, self.ticks = int(words[9]), int(words[11]) + int(words[12])
        self.started = int(words[19])


def stat(pid: int) -> Stat | None:
    """None: there is no such process (any more)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - pathlib is not imported here
            return Stat(file.read())
    except (OSError, ValueError, IndexError):
        return None


def everyone() -> Iterator[Stat]:
    """All processes that /proc shows."""
    try:
        names = os.listdir("/proc")  # noqa: PTH208
    except OSError:
        return
    for name in names:
        if name.isdigit() and (found := stat(int(name))) is not None:
            yield found


def below(root: int) -> list[Stat]:
    """The processes that descend from ``root``, without it. Those whose parent has gone come to a subreaper."""
    children: dict[int, list[Stat]] = {}
    for process in everyone():
        children.setdefault(process.parent, []).append(process)
    found: list[Stat] = []
    waiting = [root]
    while waiting:
        mine = children.pop(waiting.pop(), [])
        found += mine
        waiting += [process.pid for process in mine]
    return found


def carrying(mark: str) -> list[Stat]:
    """The processes whose environment holds ``mark`` (``NAME=value``), as it was when they were started."""
    wanted = mark.encode()
    found = []
    for process in everyone():
        try:
            with open(f"/proc/{process.pid}/environ", "rb") as file:  # noqa: PTH123
                if wanted in file.read().split(b"\0"):
                    found.append(process)
        except OSError:
            continue
    return found


def kill(processes: Iterable[Stat], number: int = signal.SIGKILL) -> None:
    """Signals them and their process groups, but not our own group.

    The kernel signals a group at once: a member cannot escape by forking meanwhile.
    """
    ours = os.getpgrp()
    found = list(processes)
    for group in {process.group for process in found} - {ours, 0, 1}:
        with contextlib.suppress(OSError):
            os.killpg(group, number)
    for process in found:
        if process.group == ours:
            with contextlib.suppress(OSError):
                os.kill(process.pid, number)


def boot_id() -> str:
    """Which start of this machine it is; empty where that is not told."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return ""
