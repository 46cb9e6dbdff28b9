"""Single values of the kernel: sysctl lines, and files of /proc/sys and of cgroups.

Files count when the text says which file it was: ``$ cat PATH`` with the value below, ``==> PATH <==`` (head, tail),
``PATH:VALUE`` (grep), or when the saved file itself has the name of one (``memory.max``). A limit that is not set is a
known absence, not an unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from doctor.facts.hardware.reading import Notes, Reading, command_of, cpu_quota, number, size
from doctor.vocabulary.facts import ABSENT

kind = "kernel values"

_UNLIMITED_V1 = 2**62  # cgroup v1 prints the largest page-aligned number (9223372036854771712) for "no limit"


def _limit(text: str) -> Any:
    count = number(text)
    return ABSENT if text == "max" or (count is not None and count >= _UNLIMITED_V1) else count


def _switch(text: str) -> bool | None:
    return text != "0" if re.fullmatch(r"[012]", text) else None


def _mib(text: str) -> Any:
    # iogpu.wired_limit_mb: 0 means that macOS decides
    return ABSENT if text == "0" else size(text, "MiB")


# by sysctl name (dots) or by the end of a path
_VALUES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "vm.overcommit_memory": ("host.overcommit_memory", number),
    "vm.overcommit_ratio": ("host.overcommit_ratio", number),
    "vm.max_map_count": ("host.max_map_count", number),
    "kernel.numa_balancing": ("host.numa_balancing", _switch),
    "iogpu.wired_limit_mb": ("host.wired_limit", _mib),
    "hw.memsize": ("host.ram_total", number),
    "hw.physicalcpu": ("host.cpu_cores", number),
    "hw.logicalcpu": ("host.cpu_threads", number),
    "memory.limit_in_bytes": ("host.cgroup_limit", _limit),
    "memory.max": ("host.cgroup_limit", _limit),
    "memory.usage_in_bytes": ("host.cgroup_usage", number),
    "memory.current": ("host.cgroup_usage", number),
    "memory.max_usage_in_bytes": ("host.cgroup_peak", number),
    "memory.peak": ("host.cgroup_peak", number),
    "memory.swap.max": ("host.cgroup_swap_limit", _limit),
}
_KEYED = ("memory.events", "memory.events.local", "memory.oom_control")  # files of "name value" lines

_SYSCTL = r"(?:vm|kernel|hw|iogpu)\.\w+(?: = ?|: |=)\d{1,20}"
_PATH = r"(?:/proc/sys/|/sys/fs/cgroup/)[\w./@:\\-]{1,300}"
marker = re.compile(
    rf"^\s*+{_SYSCTL}\s*$|[$#%+>❯➜] +(?:\S+ +)?(?:cat|more|tail|head) {_PATH}\s*$"
    rf"|^==> {_PATH} <==\s*$|^\s*+{_PATH}: ?\w+(?: \d+)?\s*$"
)
_FILE_NAME = re.compile(
    r"(?:^|[/\\])(?P<name>memory\.[a-z_.]+|overcommit_memory|numa_balancing|max_map_count)(?:\.txt)?$"
)


def of_file(text: str, path: str) -> Reading | None:
    """Reads a saved kernel file by its own name; ``None`` when the name says nothing."""
    named = _FILE_NAME.search(path)
    if not named or len(text) > 4096:
        return None
    notes = Notes(kind, 1, path)
    lines = text.splitlines()
    last = _values(notes, named["name"], lines, 0) if lines else -1
    return notes.done(last) if last >= 0 and notes.reading.facts else None


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """Overcommit, NUMA balancing, map count, and a cgroup's memory limit, usage, peak and kills."""
    notes = Notes(kind, first_line, path)
    text = lines[0].strip()
    if sysctl := re.fullmatch(r"(?P<name>[a-z]+\.\w+)\s*[=:]\s*(?P<value>\d+)", text):
        _put(notes, sysctl["name"], sysctl["value"], 0)
        return notes.done(0)
    if pair := re.fullmatch(rf"(?P<path>{_PATH}?):\s?(?P<value>\w+(?: \d+)?)", text):
        _values(notes, pair["path"], [pair["value"]], 0)
        return notes.done(0)
    command = command_of(lines[0]) or lines[0]
    if not (named := re.search(_PATH, command)):
        return Reading()
    return notes.done(max(_values(notes, named.group(), lines[1:8], 1), 0))


def _values(notes: Notes, path: str, lines: list[str], offset: int) -> int:
    """Reads the file's content; returns the index of its last line, or -1 for none."""
    last = -1
    for i, line in enumerate(lines, offset):
        words = line.split()
        if path.endswith(_KEYED):
            if len(words) != 2 or not re.fullmatch(r"[a-z_]+", words[0]) or number(words[1]) is None:
                break
            if words[0] == "oom_kill":
                notes.fact("host.cgroup_oom_kills", number(words[1]), i)
        elif path.endswith("cpu.max"):  # quota and period in microseconds
            if (cpus := cpu_quota(line.strip())) is not None:
                notes.fact("host.cgroup_cpus", cpus, i)
                last = i
            break
        else:
            if len(words) != 1:
                break
            _put(notes, path, words[0], i)
        last = i
        if not path.endswith(_KEYED):
            break
    return last


def _put(notes: Notes, path: str, value: str, i: int) -> None:
    words = path.replace("/", ".")
    for name, (fact, convert) in _VALUES.items():
        if words == name or words.endswith((f".{name}", f".{name.split('.', 1)[1]}" if "/" not in path else "\0")):
            notes.fact(fact, convert(value), i)
            return
