"""``rocm-smi --showmeminfo vram [--showproductname]``, as text or ``--json``. Figures are bytes."""

from __future__ import annotations

import json
import re

from doctor.facts.hardware.reading import Notes, Reading, decimal, size
from doctor.vocabulary.facts import Record

kind = "rocm-smi"
marker = re.compile(
    r"^\s*+=+ ROCm System Management Interface =+\s*$|^GPU\[\d{1,3}\]\s*: .*:|^\s*+\{\s*\"card\d{1,3}\"\s*:"
)

_LINE = re.compile(r"GPU\[(?P<index>\d{1,3})\]\s*: (?P<key>[^:]+):(?P<value>.*)")
_FIELDS = {
    "vram total memory (b)": "total",
    "vram total used memory (b)": "used",
    "card series": "description",
    "device name": "description",
    "gpu use (%)": "utilisation",
    "max graphics package power (w)": "power_limit",
    "gfx version": "capability",
}


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """One device a card."""
    notes = Notes(kind, first_line, path)
    devices: dict[int, Record] = {}
    last = _json(notes, lines, devices) if lines[0].lstrip().startswith("{") else _text(notes, lines, devices)
    for record in devices.values():
        total, used = record.get("total"), record.get("used")
        if total is not None and used is not None:
            record.fields["free"] = total - used
    if not any(record.get("total") for record in devices.values()):
        notes.problem(0, "no device's memory could be read")
    return notes.done(last)


def _text(notes: Notes, lines: list[str], devices: dict[int, Record]) -> int:
    last = 0
    for i, line in enumerate(lines):
        if found := _LINE.fullmatch(line.strip()):
            index = int(found["index"])
            if index not in devices:
                devices[index] = notes.record("device", i, index=index, backend="rocm")
            _put(devices[index], found["key"].strip(), found["value"].strip())
        elif i and line.strip() and not re.match(r"\s*(?:=+|WARNING)", line):
            break
        if line.strip():
            last = i
        if "End of ROCm SMI Log" in line:
            break
    return last


def _json(notes: Notes, lines: list[str], devices: dict[int, Record]) -> int:
    """Reads the JSON object that begins at the first line; returns the index of the line it ends on."""
    text = "\n".join(lines[:2000])
    try:
        cards, end = json.JSONDecoder().raw_decode(text, len(text) - len(text.lstrip()))
    except (ValueError, RecursionError):
        notes.problem(0, "the JSON is cut off or damaged")
        return 0
    for name, values in cards.items():
        found = re.fullmatch(r"card(\d{1,3})", name)
        if found and isinstance(values, dict):
            devices[int(found[1])] = record = notes.record("device", 0, index=int(found[1]), backend="rocm")
            for key, value in values.items():
                _put(record, key, str(value))
    return text.count("\n", 0, end)


def _put(device: Record, key: str, text: str) -> None:
    field = _FIELDS.get(key.lower())
    value: object = text or None
    if field in {"total", "used"}:
        value = size(text)
    elif field in {"utilisation", "power_limit"}:
        value = decimal(text)
    if field is not None and value is not None:
        device.fields.setdefault(field, value)
