"""``nvidia-smi -q -x``: everything that the driver tells, as XML (DTD versions 8 to 13).

Element names changed on the way: ``clocks_throttle_reasons`` became ``clocks_event_reasons`` (driver 535),
``power_readings`` became ``gpu_power_readings``, ``power_limit`` became ``current_power_limit``. Memory is in MiB.
The parser is expat alone, without entities: nothing outside the text is read, nothing expands.
"""

from __future__ import annotations

import re
from typing import Any
from xml.parsers import expat

from doctor.facts.hardware.reading import Notes, Reading, decimal, number, size
from doctor.vocabulary.facts import Record

kind = "nvidia-smi -q -x"
marker = re.compile(r"^\s*+<nvidia_smi_log\b")

_SWITCH = {"Enabled": True, "Disabled": False, "Yes": True, "No": False}
_NOTHING = {"N/A", "[N/A]", "Not Supported", "Requested functionality has been deprecated"}
_POWER = ("power_readings", "gpu_power_readings")
_THROTTLE = re.compile(r"clocks_(?:throttle|event)_reason_(?P<reason>\w+)")
_REASONS = {  # what holds clocks down; the others (idle, clocks that somebody set) are no trouble
    "sw_power_cap": "power_cap",
    "hw_slowdown": "hw_slowdown",
    "hw_thermal_slowdown": "hw_thermal",
    "hw_power_brake_slowdown": "power_brake",
    "sw_thermal_slowdown": "thermal",
}
_BAD_STATES = re.compile(r"requires reset|Unknown Error|ERR!|GPU is lost", re.IGNORECASE)


class _Entity(Exception):  # noqa: N818 - ends the parse
    """The document declares an entity; nvidia-smi never does."""


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """Driver, CUDA version, and of each GPU its memory, links, power, throttling, ECC, MIG and processes."""
    notes = Notes(kind, first_line, path)
    walk = _Walk(notes)
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = walk.start, walk.end
    parser.CharacterDataHandler = walk.text
    parser.EntityDeclHandler = walk.entity
    walk.parser = parser
    last = len(lines) - 1
    for i, line in enumerate(lines):
        if walk.done:
            last = i - 1
            break
        walk.i = i
        try:
            parser.Parse(f"{line}\n", False)
        except (expat.ExpatError, _Entity):
            if not walk.done:
                notes.problem(i, "the XML is cut off or damaged")
            last = i if walk.done else max(0, i - 1)
            break
    else:
        if not walk.done:
            notes.problem(last, "the XML ends before its end tag")
    if not walk.devices and walk.attached != 0:
        notes.problem(0, "no device could be read")
    return notes.done(last)


class _Walk:
    """Follows the parser: the path of open elements, and the device and process that they belong to."""

    parser: expat.XMLParserType

    def __init__(self, notes: Notes) -> None:
        self.notes, self.i, self.done = notes, 0, False
        self.open: list[str] = []
        self.parts: list[str] = []
        self.devices = 0
        self.attached: int | None = None
        self.device: Record | None = None
        self.process: Record | None = None

    def entity(self, *_args: Any) -> None:
        raise _Entity

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.open.append(name)
        self.parts = []
        if name == "gpu" and len(self.open) == 2:
            bus = re.sub(r"^0000(?=[0-9A-Fa-f]{4}:)", "", attributes.get("id", "")).lower()
            self.device = self.notes.record("device", self.i, index=self.devices, backend="cuda", bus=bus or None)
            self.devices += 1
        elif name == "process_info" and self.device is not None:
            self.process = self.notes.record("process", self.i, device=self.device.fields["index"])

    def text(self, data: str) -> None:
        if sum(map(len, self.parts)) < 4096:
            self.parts.append(data)

    def end(self, name: str) -> None:
        value = "".join(self.parts).strip()
        self.parts = []
        self.open.pop()
        inside = self.open[-1] if self.open else ""
        if not self.open:
            self.done = True
        elif name == "process_info":
            self.process = None
        elif name == "gpu" and len(self.open) == 1:
            self.device = None
        elif value and value not in _NOTHING:
            if self.process is not None:
                self._process(name, value)
            elif self.device is not None:
                self._device(name, inside, value)
            elif len(self.open) == 1:
                self._host(name, value)

    def _host(self, name: str, value: str) -> None:
        if name == "attached_gpus":
            self.attached = number(value)
        elif name in {"driver_version", "kmd_version"} and re.fullmatch(r"[\d.]+", value):
            self.notes.fact("host.gpu_driver", value, self.i)
        elif name in {"cuda_version", "cuda_umd_version"} and re.fullmatch(r"[\d.]+", value):
            self.notes.fact("host.cuda_version", value, self.i)

    def _process(self, name: str, value: str) -> None:
        assert self.process is not None  # noqa: S101 - for the type checker
        if name == "pid":
            self.process.fields["pid"] = number(value)
        elif name == "process_name":
            self.process.fields["name"] = value
        elif name == "used_memory" and (used := size(value)) is not None:
            self.process.fields["bytes"] = used

    def _device(self, name: str, inside: str, value: str) -> None:
        assert self.device is not None  # noqa: S101 - for the type checker
        fields = self.device.fields
        if (found := _THROTTLE.fullmatch(name)) and (reason := _REASONS.get(found["reason"])):
            throttle = fields.setdefault("throttle", [])
            if value == "Active":
                throttle.append(reason)
            return
        field, seen = _field(name, inside, value, self.open)
        if field == "ecc_uncorrected" and isinstance(seen, int):
            fields[field] = fields.get(field, 0) + seen
        elif field and seen is not None:
            fields.setdefault(field, seen)  # vGPU and MIG sections repeat names further down


def _field(name: str, inside: str, value: str, path: list[str]) -> tuple[str, Any]:
    """Which field of a device an element is, and its value."""
    if inside == "gpu":
        if name in _PLAIN:
            return _PLAIN[name], value
        if name in _SWITCHES:
            return _SWITCHES[name], _SWITCH.get(value)
        if name == "performance_state":
            return ("reset_required", True) if _BAD_STATES.search(value) else ("performance_state", value)
        if name == "gpu_recovery_action":
            return "reset_required", value != "None" or None
    elif inside == "fb_memory_usage" and path[-2] == "gpu":
        return {"total": "total", "used": "used", "free": "free", "reserved": "reserved"}.get(name, ""), size(value)
    elif inside == "bar1_memory_usage" and name == "total" and path[-2] == "gpu":
        return "visible", size(value)
    elif inside in _POWER:
        if name in {"power_limit", "current_power_limit"}:
            return "power_limit", decimal(value)
        if name in {"power_draw", "instant_power_draw", "average_power_draw"}:
            return "power_draw", decimal(value)
        if name == "default_power_limit":
            return "power_limit_default", decimal(value)
    elif inside == "pcie_gen":
        found = {"current_link_gen": "pcie_generation", "max_link_gen": "pcie_generation_max"}.get(name, "")
        return found, number(value)
    elif inside == "link_widths":
        found = {"current_link_width": "pcie_width", "max_link_width": "pcie_width_max"}.get(name, "")
        return found, number(value.rstrip("x"))
    elif (inside, name) in _NESTED:
        field, convert = _NESTED[inside, name]
        return field, convert(value)
    elif inside == "volatile" and re.search(r"uncorrectable", name):
        return "ecc_uncorrected", number(value)
    return "", None


_PLAIN = {
    "product_name": "description",
    "uuid": "uuid",
    "cuda_compute_capability": "capability",  # from NVML alone (doctor.probe.nvml): nvidia-smi -q does not tell it
    "compute_mode": "compute_mode",
    "addressing_mode": "addressing",
}
_SWITCHES = {"display_active": "display", "persistence_mode": "persistence"}
_NESTED: dict[tuple[str, str], tuple[str, Any]] = {
    ("mig_mode", "current_mig"): ("mig", _SWITCH.get),
    ("ecc_mode", "current_ecc"): ("ecc", _SWITCH.get),
    ("driver_model", "current_dm"): ("driver_model", str),
    ("utilization", "gpu_util"): ("utilisation", decimal),
    ("temperature", "gpu_temp"): ("temperature", decimal),
    ("remapped_rows", "remapped_row_failure"): ("remap_failed", _SWITCH.get),
}
