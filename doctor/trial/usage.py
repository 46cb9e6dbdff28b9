"""What a tree of processes uses: anonymous and mapped memory, disk reads, CPU time. Standard library only.

Peaks are those of samples of /proc/PID/status (``RssAnon``, ``RssFile`` + ``RssShmem``): counters that the kernel keeps
anyway. ``smaps_rollup`` would share out pages that processes have in common, but walks all page tables: of an engine
with 100 GB that takes the engine's own time. What processes share is therefore counted once for each.
"""

from __future__ import annotations

import os

from doctor.trial import processes

_KIB = 1024
_BLOCK = 512  # ru_inblock counts sectors: Linux, task_io_get_inblock


class Sampler:
    """Peaks and sums of all that descends from a process.

    Attributes:
        anonymous, mapped, most: peaks, in bytes and processes. pids: all that were seen.
        activity: CPU ticks and major faults of those alive at the last sample, with what had ended before.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        self.anonymous = self.mapped = self.most = 0
        self.pids: set[int] = set()
        self._ended_cpu, self._ended_read = 0.0, 0
        self._last: dict[int, tuple[int, int]] = {}

    def sample(self, *, known: bool = False) -> None:
        """Looks at all processes; or only at those seen the last time, which costs a hundredth."""
        anonymous = mapped = 0
        looked = (processes.stat(pid) for pid in self._last) if known else processes.below(self._root)
        found = [process for process in looked if process is not None and process.state not in "ZX"]
        self._last = {}
        for process in found:
            own, of_files = _resident(process.pid)
            anonymous, mapped = anonymous + own, mapped + of_files
            self._last[process.pid] = (process.ticks, process.faults)
        self.pids.update(self._last)
        self.anonymous, self.mapped = max(self.anonymous, anonymous), max(self.mapped, mapped)
        self.most = max(self.most, len(found))

    def ended(self, cpu: float, blocks: int) -> None:
        """Adds what the kernel accounts to a process that was waited for, and to those that it had waited for."""
        self._ended_cpu += cpu
        self._ended_read += blocks * _BLOCK

    @property
    def cpu(self) -> float:
        """CPU seconds, as of the last sample."""
        return self._ended_cpu + sum(ticks for ticks, _faults in self._last.values()) / processes.TICKS

    @property
    def faults(self) -> int:
        """Pages that had to be read, by those alive at the last sample."""
        return sum(faults for _ticks, faults in self._last.values())

    def read(self) -> int:
        """Bytes read from disks, now."""
        return self._ended_read + sum(_read_bytes(pid) for pid in self._last)

    def all_ended(self) -> None:
        """Nothing lives: what was waited for is all there is."""
        self._last = {}

    def waiting(self) -> list[str]:
        """Where the threads wait in the kernel, most frequent first."""
        counts: dict[str, int] = {}
        for pid in self._last:
            try:
                threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208
            except OSError:
                continue
            for thread in threads:
                name = _text(f"/proc/{pid}/task/{thread}/wchan").strip()
                if name not in {"", "0"}:
                    counts[name] = counts.get(name, 0) + 1
        return sorted(counts, key=lambda name: -counts[name])[:5]


def _resident(pid: int) -> tuple[int, int]:
    """Anonymous and mapped bytes of a process; (0, 0) when it has ended."""
    anonymous = mapped = 0
    for line in _text(f"/proc/{pid}/status").splitlines():
        name, _, value = line.partition(":")
        if name == "RssAnon":
            anonymous = int(value.split()[0]) * _KIB
        elif name in {"RssFile", "RssShmem"}:
            mapped += int(value.split()[0]) * _KIB
    return anonymous, mapped


def _read_bytes(pid: int) -> int:
    for line in _text(f"/proc/{pid}/io").splitlines():
        if line.startswith("read_bytes:"):
            return int(line.split()[1])
    return 0


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return ""
