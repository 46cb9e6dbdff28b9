"""``amd-smi static --json`` and ``amd-smi metric --json``.

Figures come as ``{"value": 24560, "unit": "MB"}`` (MB there means MiB) or as ``"N/A"``; ROCm 6.4 put the list into an
object ``{"gpu_data": [...]}``. Format: amdsmi_cli of ROCm/amdsmi.
"""

from __future__ import annotations

import json
import re
from typing import Any

from doctor.facts.hardware.reading import Notes, Reading, decimal, number, size

kind = "amd-smi"
_OWN = {"asic", "vram", "mem_usage", "usage", "power", "driver"}
# Pretty-printed, the bracket before it stands on a line of its own.
marker = re.compile(r'^\s*+(?:[\[{]\s*)*+"(?:gpu_data"\s*:|gpu": ?\d{1,3},)')


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """One device a GPU; what ``static`` and ``metric`` say of one is merged."""
    text = "\n".join(lines)
    if not text.lstrip().startswith(("[", "{")):
        text = ("{" if '"gpu_data"' in lines[0] else "[{") + text
    notes = Notes(kind, first_line, path)
    try:
        data, end = json.JSONDecoder().raw_decode(text, len(text) - len(text.lstrip()))
    except (ValueError, RecursionError):
        notes.problem(0, "the JSON is cut off or damaged")
        return notes.done(0)
    cards = data.get("gpu_data", [data]) if isinstance(data, dict) else data
    if not any(isinstance(card, dict) and _OWN & card.keys() for card in cards if isinstance(cards, list)):
        return Reading()
    for card in cards:
        if isinstance(card, dict) and isinstance(card.get("gpu"), int):
            notes.record("device", 0, index=card["gpu"], backend="rocm", **_fields(card))
            driver = _at(card, "driver", "version")
            if isinstance(driver, str) and re.fullmatch(r"\d+(?:\.\d+)+", driver):
                notes.fact("host.amdgpu_module", driver, 0)
    return notes.done(text.count("\n", 0, end))


def _fields(card: dict[str, Any]) -> dict[str, Any]:
    total = _bytes(_at(card, "mem_usage", "total_vram")) or _bytes(_at(card, "vram", "size"))
    used = _bytes(_at(card, "mem_usage", "used_vram"))
    return {
        "description": _word(_at(card, "asic", "market_name")),
        "capability": _word(_at(card, "asic", "target_graphics_version")),
        "cores": _number(_at(card, "asic", "num_compute_units")),
        "bus": _word(_at(card, "bus", "bdf")),
        "pcie_width_max": _number(_at(card, "bus", "max_pcie_width")),
        "total": total,
        "used": used,
        "free": _bytes(_at(card, "mem_usage", "free_vram")),
        "visible": _bytes(_at(card, "mem_usage", "total_visible_vram")),
        "utilisation": _figure(_at(card, "usage", "gfx_activity")),
        "power_draw": _figure(_at(card, "power", "socket_power")),
        "temperature": _figure(_at(card, "temperature", "hotspot")),
    }


def _at(data: Any, *names: str) -> Any:
    for name in names:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value not in {"", "N/A"} else None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) else number(value) if isinstance(value, str) else None


def _figure(value: Any) -> float | None:
    if isinstance(value, dict):
        value = value.get("value")
    return float(value) if isinstance(value, (int, float)) else decimal(value) if isinstance(value, str) else None


def _bytes(value: Any) -> int | None:
    if isinstance(value, dict):
        value = f"{value.get('value')} {value.get('unit', 'MB')}"
    elif isinstance(value, int):
        value = f"{value} MB"
    return size(value.replace("MB", "MiB").replace("GB", "GiB")) if isinstance(value, str) else None
