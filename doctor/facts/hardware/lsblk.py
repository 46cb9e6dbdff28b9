"""``lsblk``: disks, with size, model and whether they rotate (``-o NAME,ROTA,SIZE,MODEL,...``)."""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading, columns, size

kind = "lsblk"
marker = re.compile(r"^\s*+NAME ++(?=.*\b(?:SIZE|ROTA)\b)[A-Z][A-Z0-9:% _-]*$")


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """One ``disk`` record for each whole disk; partitions and mapped volumes below it are passed over."""
    notes = Notes(kind, first_line, path)
    names = lines[0].split()
    last = 0
    for i, line in enumerate(lines[1:], 1):
        if not line.strip():
            break
        if not re.match(r"\s*[│├└|`─-]*\w", line):
            break
        cells = columns(lines[0], line)
        if not {"NAME", "SIZE" if "SIZE" in names else "ROTA"} <= cells.keys():
            break
        last = i
        if re.match(r"\s*[│├└|`]", line) or cells.get("TYPE", "disk") != "disk":
            continue
        total = size(cells.get("SIZE"))
        if not total and "SIZE" in names:
            continue
        rotates = {"0": False, "1": True}.get(cells.get("ROTA", ""))
        notes.record("disk", i, name=cells["NAME"], bytes=total, rotational=rotates, model=cells.get("MODEL"))
    if not last:
        notes.problem(0, "no row under the header")
    return notes.done(last)
