"""``/proc/PID/limits``: the limits that a process really runs under. The soft limit counts; sizes are bytes."""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading, number

kind = "limits"
marker = re.compile(
    r"^\s*+(?:Limit +Soft Limit +Hard Limit|Max (?:locked memory|address space|open files) +\S+ +\S+ +\w+)\b"
)

_LINE = re.compile(
    r"\s*Max (?P<name>[a-z]+(?: [a-z]+)*+) {2,}(?P<soft>\d{1,20}|unlimited) +(?P<hard>\d{1,20}|unlimited)(?: +\w+)?\s*"
)
_NAMES = {
    "locked memory": "host.memlock_limit",
    "address space": "host.address_space_limit",
    "open files": "host.open_files_limit",
}


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """The limits on locked memory, address space and open files; unlimited is -1."""
    notes = Notes(kind, first_line, path)
    last = 0
    for i, line in enumerate(lines):
        found = _LINE.fullmatch(line)
        if not found:
            if i == 0 and "Soft Limit" in line:
                continue
            break
        last = i
        if name := _NAMES.get(found["name"]):
            notes.fact(name, -1 if found["soft"] == "unlimited" else number(found["soft"]), i)
    return notes.done(last)
