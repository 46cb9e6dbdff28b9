"""``vmstat 1`` of Linux: what is swapped in and out a second. The columns ``si`` and ``so`` are KiB/s."""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading

kind = "vmstat"
marker = re.compile(r"^\s*+procs -+memory-+ ")

_ROW = re.compile(r"\s*(?:\d{1,12}\s+){10,20}\d{1,12}\s*")


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """Swap traffic: the median of the rows, without the first, which is the average since the machine was started."""
    notes = Notes(kind, first_line, path)
    if len(lines) < 3:
        return notes.done(0)
    columns = lines[1].split()
    if "si" not in columns or "so" not in columns:
        return notes.done(0)
    places = columns.index("si"), columns.index("so")
    rows: list[tuple[int, int, int]] = []
    last = 1
    for i, line in enumerate(lines[2:], 2):
        if not _ROW.fullmatch(line):
            break
        values = line.split()
        rows.append((int(values[places[0]]), int(values[places[1]]), i))
        last = i
    if len(rows) > 1:
        del rows[0]
    if rows:
        swapped_in, swapped_out, line_number = sorted(rows, key=lambda row: row[0] + row[1])[len(rows) // 2]
        notes.fact("host.swap_in", swapped_in * 1024, line_number)
        notes.fact("host.swap_out", swapped_out * 1024, line_number)
    return notes.done(last)
