"""/proc/cpuinfo of Linux on x86 and ARM: model, hardware threads, cores, sockets, instruction sets.

ARM names no model there, and tells no cores from threads.
"""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading

kind = "cpuinfo"
marker = re.compile(r"^processor\s*+: ?\d{1,5}\s*+$")

_PAIR = re.compile(r"(?P<key>[A-Za-z][\w ()]{0,40}?)\s*+:(?: (?P<value>.*))?")
_FLAGS = {"flags", "Features"}


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """The facts of all CPUs together."""
    notes = Notes(kind, first_line, path)
    threads, last = 0, 0
    socket = "0"
    sockets: set[str] = set()
    cores: set[tuple[str, str]] = set()
    seen: set[str] = set()
    for i, line in enumerate(lines):
        if not line.strip():
            continue
        pair = _PAIR.fullmatch(line)
        if not pair:
            break
        last = i
        key, value = pair["key"], (pair["value"] or "").strip()
        if key == "processor":
            threads += 1
        elif key == "physical id":
            socket = value
            sockets.add(value)
        elif key == "core id":
            cores.add((socket, value))
        elif key in {"model name", *_FLAGS} and key not in seen:
            seen.add(key)
            if key == "model name":
                notes.fact("host.cpu_model", value or None, i)
            else:
                notes.fact("host.cpu_flags", value.split() or None, i)
    notes.fact("host.cpu_threads", threads or None, 0)
    notes.fact("host.cpu_cores", len(cores) or None, 0)
    notes.fact("host.cpu_sockets", len(sockets) or None, 0)
    return notes.done(last)
