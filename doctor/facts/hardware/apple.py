"""``system_profiler SPHardwareDataType`` of macOS. "GB" there means GiB; CPU and GPU of Apple chips share it."""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading, decimal, number, size

kind = "system_profiler"
marker = re.compile(r"^\s*+Hardware Overview:\s*$")

_PAIR = re.compile(r"(?P<key>[A-Z][\w() ]{1,40}): (?P<value>.*)")


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """Chip, number of cores and memory."""
    notes = Notes(kind, first_line, path)
    last = 0
    for i, line in enumerate(lines[1:], 1):
        if not line.strip():
            continue
        pair = _PAIR.fullmatch(line.strip())
        if not pair:
            break
        key, value, last = pair["key"], pair["value"], i
        if key in ("Chip", "Processor Name"):
            notes.fact("host.cpu_model", value, i)
        elif key == "Memory":
            notes.fact("host.ram_total", size(value.replace("GB", "GiB").replace("TB", "TiB")), i)
        elif key == "Total Number of Cores":
            cores = decimal(value)
            notes.fact("host.cpu_cores", int(cores) if cores is not None else None, i)
        elif key == "Number of Processors":
            notes.fact("host.cpu_sockets", number(value), i)
    return notes.done(last)
