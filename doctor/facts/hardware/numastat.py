"""``numastat -p PID``: a process's memory by NUMA node. "MBs" there are MiB. Many nodes make several tables."""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading, decimal, number

kind = "numastat"
marker = re.compile(r"^\s*+Per-node process memory usage \(in MBs\) for PID \d+ \(")

_TITLE = re.compile(r"for PID (?P<pid>\d{1,9}) \((?P<name>.*?)\)")
_NODES = re.compile(r"\s*(?:Node \d{1,4}\s*)+(?:Total)?\s*")
_ROW = re.compile(r"\s*(?P<name>[A-Z]\w*)\s+(?P<values>[\d.\s]+)")


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """One ``numa_usage`` record."""
    notes = Notes(kind, first_line, path)
    title = _TITLE.search(lines[0])
    by_node: dict[int, int] = {}
    nodes: list[int] = []
    last = 0
    for i, line in enumerate(lines[1:], 1):
        if not line.strip():
            continue
        row = _ROW.fullmatch(line)
        if _NODES.fullmatch(line):
            nodes = [int(n) for n in re.findall(r"Node (\d+)", line)]
        elif row:
            for node, value in zip(nodes, row["values"].split(), strict=False):
                mib = decimal(value)
                if row["name"] == "Total" and mib is not None:
                    by_node[node] = round(mib * 1024 * 1024)
        elif not re.fullmatch(r"[\s-]+", line):
            break
        last = i
    if title and by_node:
        main = max(by_node, key=lambda node: by_node[node])
        fields = {"bytes": sum(by_node.values()), "bytes_by_node": by_node, "main_node": main}
        notes.record("numa_usage", 0, pid=number(title["pid"]), name=title["name"], **fields)
    else:
        notes.problem(0, "the row of totals is missing")
    return notes.done(last)
