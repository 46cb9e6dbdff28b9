"""/proc/self/cgroup and the files of the cgroups that it names, outermost first: which limit binds this process.

A limit may stand on any level: the smallest counts, with what that level uses. cgroup v1 says "no limit" by a huge
number, v2 by ``max``. Format: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst of the Linux kernel.
"""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading, cpu_list, cpu_quota, number
from doctor.vocabulary.facts import ABSENT

kind = "cgroup"
marker = re.compile(r"^\d{1,3}:[\w,=-]*:/\S*\s*$")

_FILE = re.compile(r"(?P<folder>/sys/fs/cgroup\S*?)/(?P<name>[a-z]+\.[\w.]+):(?P<value>.*)")
_UNLIMITED_V1 = 2**62
_LIMITS = ("memory.max", "memory.limit_in_bytes")
_USAGE = {
    "memory.current": "usage",
    "memory.usage_in_bytes": "usage",
    "memory.peak": "peak",
    "memory.max_usage_in_bytes": "peak",
}


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """Memory limit, usage, peak and kills; CPU time and CPUs; of the level that binds."""
    notes = Notes(kind, first_line, path)
    levels: dict[str, dict[str, tuple[int, int]]] = {}
    quotas: dict[str, dict[str, int]] = {}
    cpus: tuple[float, int] | None = None
    asked_limit = asked_swap = False
    last = 0
    for i, line in enumerate(lines):
        if marker.match(line):
            last = i
            continue
        found = _FILE.fullmatch(line.strip())
        if not found:
            break
        last = i
        name, value = found["name"], found["value"].strip()
        level = levels.setdefault(found["folder"], {})
        if name in _LIMITS or name == "memory.swap.max":
            limit = number(value)
            field = "swap" if name == "memory.swap.max" else "limit"
            asked_limit, asked_swap = asked_limit or field == "limit", asked_swap or field == "swap"
            if limit is not None and limit < _UNLIMITED_V1:
                level[field] = (limit, i)
        elif name in _USAGE and (used := number(value)) is not None:
            level[_USAGE[name]] = (used, i)
        elif name in {"memory.events", "memory.oom_control"} and (kills := re.fullmatch(r"oom_kill (\d{1,15})", value)):
            level["kills"] = (int(kills[1]), i)
        elif name == "cpu.max":
            cpus = _fewer(cpus, value, i)
        elif name in {"cpu.cfs_quota_us", "cpu.cfs_period_us"} and (count := number(value)) is not None:
            pair = quotas.setdefault(found["folder"], {})
            pair[name] = count
            if len(pair) == 2 and pair["cpu.cfs_quota_us"] > 0:
                cpus = _fewer(cpus, f"{pair['cpu.cfs_quota_us']} {pair['cpu.cfs_period_us']}", i)
        elif name == "cpuset.cpus.effective" and (allowed := cpu_list(value)):
            notes.fact("host.cpus_allowed", len(allowed), i)
    binding = min(
        (level for level in levels.values() if "limit" in level), key=lambda level: level["limit"], default=None
    )
    own = next((level for level in reversed(levels.values()) if "usage" in level), {})
    if binding is not None:
        notes.fact("host.cgroup_limit", *binding["limit"])
    elif asked_limit:
        notes.fact("host.cgroup_limit", ABSENT, last)
    for field, name in (("usage", "usage"), ("peak", "peak"), ("kills", "oom_kills")):
        if seen := (binding or own).get(field):
            notes.fact(f"host.cgroup_{name}", *seen)
    swaps = [level["swap"] for level in levels.values() if "swap" in level]
    if swaps:
        notes.fact("host.cgroup_swap_limit", *min(swaps))
    elif asked_swap:
        notes.fact("host.cgroup_swap_limit", ABSENT, last)
    if cpus is not None:
        notes.fact("host.cgroup_cpus", *cpus)
    return notes.done(last)


def _fewer(known: tuple[float, int] | None, quota: str, i: int) -> tuple[float, int] | None:
    most = cpu_quota(quota)
    return min(known or (most, i), (most, i)) if isinstance(most, float) else known
