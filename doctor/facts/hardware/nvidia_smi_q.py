"""``nvidia-smi -q``: the long form. Sections are told by their headings, so lost indentation does no harm."""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading, decimal, number, size
from doctor.vocabulary.facts import Record

kind = "nvidia-smi -q"
marker = re.compile(r"^\s*+=+NVSMI LOG=+\s*$")

_GPU = re.compile(r"\s*GPU [0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.\S\s*")
_TOP = re.compile(r"(?:Timestamp|Driver Version|KMD Version|CUDA (?:UMD )?Version|Attached GPUs)\s*:")
_POWER = ("Power Readings", "GPU Power Readings")
_MEMORY = {"Total": "total", "Used": "used", "Free": "free", "Reserved": "reserved"}


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """Driver, CUDA version, and of each GPU: name, memory, display, power limit, load and processes."""
    notes = Notes(kind, first_line, path)
    device: Record | None = None
    process: Record | None = None
    section, index, last = "", -1, 0
    for i, line in enumerate(lines[1:], 1):
        if not line.strip():
            continue
        key, colon, value = (part.strip() for part in line.partition(":"))
        if _GPU.fullmatch(line):
            index, section, process = index + 1, "", None
            device = notes.record("device", i, index=index, backend="cuda")
        elif colon and (_TOP.match(line) or line[0].isspace() or device is not None):
            if key == "Processes":
                section = key
            elif device is None:
                _host(notes, key, value, i)
            elif section == "Processes":
                if key == "Process ID":
                    process = notes.record("process", i, pid=number(value), device=index)
                elif process is not None:
                    _process(process, key, value)
            else:
                _device(device, section, key, value)
        elif line[0].isspace() or (
            device is not None and len(line) < 60 and re.fullmatch(r"[A-Za-z][\w /().-]*", line)
        ):
            section, process = line.strip(), None
        else:
            break
        last = i
    if device is None:
        notes.problem(0, "no device could be read")
    elif "total" not in device.fields:
        notes.problem(last, "the output ends before the memory of the last device")
    return notes.done(last)


def _host(notes: Notes, key: str, value: str, i: int) -> None:
    version = re.fullmatch(r"\d+(?:\.\d+)*", value)
    if version and key in ("Driver Version", "KMD Version"):
        notes.fact("host.gpu_driver", value, i)
    elif version and key in ("CUDA Version", "CUDA UMD Version"):
        notes.fact("host.cuda_version", value, i)


def _device(device: Record, section: str, key: str, value: str) -> None:
    fields = device.fields
    found: object = None
    if section == "FB Memory Usage" and key in _MEMORY:
        key, found = _MEMORY[key], size(value)
    elif section in _POWER and key in ("Power Limit", "Current Power Limit"):
        key, found = "power_limit", decimal(value)
    elif section == "Utilization" and key.lower() == "gpu":
        key, found = "utilisation", decimal(value)
    elif section == "MIG Mode" and key == "Current":
        key, found = "mig", {"Enabled": True, "Disabled": False}.get(value)
    elif key == "Product Name":
        key, found = "description", value or None
    elif key == "Display Active":
        key, found = "display", {"Enabled": True, "Disabled": False}.get(value)
    if found is not None:
        fields.setdefault(key, found)  # vGPU guests have a section "FB Memory Usage" of their own further down


def _process(process: Record, key: str, value: str) -> None:
    if key == "Name" and value:
        process.fields["name"] = value
    elif key == "Used GPU Memory" and (used := size(value)) is not None:
        process.fields["bytes"] = used
