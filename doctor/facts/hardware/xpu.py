"""Intel GPUs: ``xpu-smi discovery`` (table and ``-j``) and ``sycl-ls``.

Level Zero's devices are those that SYCL programs count. Formats: doc/smi_user_guide.md of intel/xpumanager, and the
output that llama.cpp's docs/backend/SYCL.md shows for sycl-ls.
"""

from __future__ import annotations

import json
import re

from doctor.facts.hardware.reading import Notes, Reading, size

kind = "xpu"
marker = re.compile(
    r"^\s*+\| Device ID \| Device Information|^\s*+\{?\s*\"device_list\""
    r"|^\[(?:level_zero|opencl|ext_oneapi_\w+):\w+\]\S* "
)

_SYCL = re.compile(r"\[level_zero:gpu\](?:\[level_zero:(?P<index>\d{1,3})\])? (?P<words>.+) \[[^\[\]]*\]")
_MAX_WIDTH = 500
_ROW = re.compile(r"\| (?P<id>\d{1,3}) +\| (?P<key>[\w ()]+): (?P<value>.*?) *\|")
_MORE = re.compile(r"\| +\| (?P<key>[\w ()]+): (?P<value>.*?) *\|")
_KEYS = {"device name": "description", "device_name": "description", "pci bdf address": "bus", "pci_bdf_address": "bus"}


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """One device a GPU."""
    notes = Notes(kind, first_line, path)
    if lines[0].startswith("["):
        return _sycl(notes, lines)
    return _table(notes, lines) if lines[0].lstrip().startswith("|") else _json(notes, lines)


def _sycl(notes: Notes, lines: list[str]) -> Reading:
    last = 0
    for i, line in enumerate(lines):
        if not line.startswith("["):
            break
        last = i
        found = _SYCL.fullmatch(line.rstrip()) if len(line) < _MAX_WIDTH else None
        if found:
            # the platform, a comma, the device's name and the version of its hardware or API
            name = found["words"].rpartition(", ")[2]
            name = re.sub(r" \d+(?:\.\d+)+$", "", name)
            index = int(found["index"] or 0)
            notes.record("device", i, index=index, backend="sycl", description=name, integrated=_integrated(name))
    return notes.done(last)


def _integrated(name: str) -> bool | None:
    if re.search(r"\b(?:UHD|Iris|HD) Graphics|Arc\(TM\) Graphics$", name):
        return True
    return False if re.search(r"Arc\(TM\) (?:Pro )?[AB]\d+|Data Center GPU|Flex|Max", name) else None


def _table(notes: Notes, lines: list[str]) -> Reading:
    last, device = 0, None
    for i, line in enumerate(lines[1:], 1):
        if not line.lstrip().startswith(("|", "+")):
            break
        last = i
        text = line.strip() if len(line) < _MAX_WIDTH else ""
        if row := _ROW.fullmatch(text):
            device = notes.record("device", i, index=int(row["id"]), backend="sycl")
        else:
            row = _MORE.fullmatch(text)
        if row and device is not None:
            key = row["key"].strip().lower()
            if key in _KEYS:
                device.fields.setdefault(_KEYS[key], row["value"])
            elif key == "memory physical size":
                device.fields["total"] = size(row["value"])
    return notes.done(last)


def _json(notes: Notes, lines: list[str]) -> Reading:
    text = "\n".join(lines[:5000])
    text = text if text.lstrip().startswith("{") else "{" + text
    try:
        data, end = json.JSONDecoder().raw_decode(text, len(text) - len(text.lstrip()))
    except (ValueError, RecursionError):
        notes.problem(0, "the JSON is cut off or damaged")
        return notes.done(0)
    cards = data.get("device_list") if isinstance(data, dict) else None
    for card in cards if isinstance(cards, list) else []:
        if isinstance(card, dict) and isinstance(card.get("device_id"), int):
            known = {field: card[key] for key, field in _KEYS.items() if isinstance(card.get(key), str)}
            notes.record("device", 0, index=card["device_id"], backend="sycl", **known)
    if not cards:
        notes.problem(0, "no device is listed")
    return notes.done(text.count("\n", 0, end))
