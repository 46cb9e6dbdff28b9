"""``numactl --hardware`` and ``numactl --show``.

"MB" there means MiB. The node sizes need not add up to the machine's RAM (the kernel keeps some for itself, and a
machine may have nodes without memory), so nothing here says how much RAM there is.
"""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading, cpu_list, number, size
from doctor.vocabulary.facts import Record

kind = "numactl"
marker = re.compile(r"^\s*+(?:available: \d{1,4} nodes? \(|No NUMA available on this system|policy: \w+\s*$)")

_NODE = re.compile(r"node (?P<node>\d{1,4}) (?P<key>cpus|size|free):(?P<value>.*)")
_DISTANCE = re.compile(r"node distances:|node\s+\d+[\d\s]*|\d{1,4}:[\s\d]+")
_SHOW = re.compile(
    r"(?P<key>policy|preferred(?: node)?|physcpubind|cpubind|nodebind|membind|interleave\w*):(?P<value>.*)"
)


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """The number of nodes and each node's CPUs, size and free memory; or the policy that a shell runs under."""
    notes = Notes(kind, first_line, path)
    if "No NUMA available" in lines[0]:
        notes.fact("host.numa_nodes", 1, 0)
        return notes.done(0)
    return _show(notes, lines) if lines[0].lstrip().startswith("policy") else _hardware(notes, lines)


def _hardware(notes: Notes, lines: list[str]) -> Reading:
    available = re.search(r"available: (\d+)", lines[0])
    expected = number(available[1]) if available else None
    notes.fact("host.numa_nodes", expected, 0)
    nodes: dict[int, Record] = {}
    last = 0
    for i, line in enumerate(lines[1:], 1):
        if found := _NODE.fullmatch(line.strip()):
            index = int(found["node"])
            if index not in nodes:
                nodes[index] = notes.record("numa_node", i, index=index)
            value = cpu_list(found["value"]) if found["key"] == "cpus" else size(found["value"].replace("MB", "MiB"))
            if value is None:
                notes.problem(i, f"the {found['key']} of node {index} could not be read")
            else:
                nodes[index].fields[found["key"]] = value
        elif not _DISTANCE.fullmatch(line.strip()):
            break
        last = i
    if expected is not None and len(nodes) < expected:
        notes.problem(last, f"{expected} nodes are announced, {len(nodes)} are described")
    return notes.done(last)


def _show(notes: Notes, lines: list[str]) -> Reading:
    if len(lines) < 2 or not _SHOW.fullmatch(lines[1].strip()):
        return Reading()
    last = 0
    for i, line in enumerate(lines):
        found = _SHOW.fullmatch(line.strip())
        if not found:
            break
        last = i
        if found["key"] == "policy":
            notes.fact("host.numa_policy", found["value"].strip(), i)
        elif found["key"] == "membind":
            notes.fact("host.numa_membind", cpu_list(found["value"]), i)
    return notes.done(last)
