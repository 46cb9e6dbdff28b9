"""``system_profiler SPHardwareDataType SPDisplaysDataType`` of macOS. "GB" there means GiB; CPU and GPU of Apple chips
share it, so their GPU has no memory of its own."""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading, decimal, number, size
from doctor.vocabulary.facts import Record

kind = "system_profiler"
marker = re.compile(r"^\s*+(?:Hardware Overview|Graphics/Displays):\s*$")

_PAIR = re.compile(r"(?P<key>[A-Z][\w() ,/-]{1,40}): (?P<value>.*)")
_HEADING = re.compile(r"(?P<indent>\s+)(?P<name>\S.{0,80}):\s*")


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """Chip, cores and memory; or the GPUs."""
    notes = Notes(kind, first_line, path)
    return _displays(notes, lines) if "Graphics" in lines[0] else _hardware(notes, lines)


def _hardware(notes: Notes, lines: list[str]) -> Reading:
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
            notes.fact("host.ram_total", size(_binary(value)), i)
        elif key == "Total Number of Cores":
            cores = decimal(value)
            notes.fact("host.cpu_cores", int(cores) if cores is not None else None, i)
        elif key == "Number of Processors":
            notes.fact("host.cpu_sockets", number(value), i)
    return notes.done(last)


def _displays(notes: Notes, lines: list[str]) -> Reading:
    device: Record | None = None
    last = 0
    for i, line in enumerate(lines[1:], 1):
        text = line.strip()
        if not text:
            continue
        pair = _PAIR.fullmatch(text)
        if not pair and not _HEADING.fullmatch(line):
            break
        last = i
        if not pair:
            continue
        key, value = pair["key"], pair["value"]
        if key == "Chipset Model":
            index = sum(record.kind == "device" for record in notes.reading.records)
            apple = value.startswith("Apple")
            device = notes.record(
                "device", i, index=index, backend="metal", description=value, integrated=apple or None
            )
        elif device is None:
            continue
        elif key == "Total Number of Cores":
            device.fields["cores"] = number(value)
        elif key.startswith("VRAM") and "Dynamic" not in key:
            device.fields["total"] = size(_binary(value))
        elif key in {"Metal Support", "Metal Family", "Metal"}:
            device.fields["metal"] = value.removeprefix("Supported, ")
        elif key == "Main Display":
            device.fields["display"] = value == "Yes"
    return notes.done(last)


def _binary(text: str) -> str:
    return re.sub(r"\b([MGT])B\b", r"\1iB", text)
