"""``vulkaninfo --summary``: the devices that Vulkan offers; a device of type CPU is a software renderer."""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading
from doctor.vocabulary.facts import Record

kind = "vulkaninfo"
marker = re.compile(r"^\s*+(?:VULKANINFO\s*$|GPU\d{1,3}:\s*$)")

_GPU = re.compile(r"\s*GPU(?P<index>\d{1,3}):\s*")
_PAIR = re.compile(r"(?P<key>[a-z]\w+)\s+= (?P<value>.*)")
_BEFORE = re.compile(
    r"\s*(?:[=-]+|Vulkan Instance Version: .*|(?:Instance|Device) (?:Extensions|Layers): count = \d+|Devices:"
    r"|VK_\w+\s.*|'DISPLAY' environment variable not set.*)\s*"
)


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """One device each; its index is that of Vulkan, which leaves nothing out."""
    notes = Notes(kind, first_line, path)
    device: Record | None = None
    last = 0
    for i, line in enumerate(lines):
        if not line.strip() or (i == 0 and "VULKANINFO" in line):
            continue
        if found := _GPU.fullmatch(line):
            device = notes.record("device", i, index=int(found["index"]), backend="vulkan")
        elif device is not None and (pair := _PAIR.fullmatch(line.strip())):
            if pair["key"] == "deviceName":
                device.fields["description"] = pair["value"]
            elif pair["key"] == "deviceType":
                device.fields["software"] = pair["value"].endswith("TYPE_CPU")
                device.fields["integrated"] = pair["value"].endswith("INTEGRATED_GPU")
        elif device is not None or not _BEFORE.fullmatch(line):
            break
        last = i
    if device is None:
        notes.problem(0, "no device is listed")
    return notes.done(last)
