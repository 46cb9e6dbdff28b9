"""``/proc/meminfo``, and ``/sys/devices/system/node/node*/meminfo``. "kB" there means KiB."""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading, size
from doctor.vocabulary.facts import Record

kind = "meminfo"
marker = re.compile(r"^\s*+(?:Node \d{1,4} )?MemTotal:\s+\d+ kB\s*$")

_LINE = re.compile(r"\s*(?:Node (?P<node>\d{1,4}) )?(?P<key>[A-Z][\w()]*):\s*(?P<value>\d+)(?P<unit> kB)?\s*")
_FACTS = {
    "MemTotal": "host.ram_total",
    "MemFree": "host.ram_free",
    "MemAvailable": "host.ram_available",
    "SwapTotal": "host.swap_total",
    "SwapFree": "host.swap_free",
    "CommitLimit": "host.commit_limit",
    "Committed_AS": "host.commit_used",
}
_NODE_FIELDS = {"MemTotal": "size", "MemFree": "free"}


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """The machine's memory, or that of NUMA nodes."""
    notes = Notes(kind, first_line, path)
    nodes: dict[str, Record] = {}
    last = 0
    for i, line in enumerate(lines):
        found = _LINE.fullmatch(line)
        if not found:
            break
        last = i
        count = size(found["value"] + (" KiB" if found["unit"] else ""))
        if found["node"] is None:
            if found["key"] in _FACTS:
                notes.fact(_FACTS[found["key"]], count, i)
        elif found["key"] in _NODE_FIELDS:
            node = found["node"]
            if node not in nodes:
                nodes[node] = notes.record("numa_node", i, index=int(node))
            nodes[node].fields[_NODE_FIELDS[found["key"]]] = count
    return notes.done(last)
