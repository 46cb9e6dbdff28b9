"""``nvidia-smi --query-gpu=... --format=csv`` and ``--query-compute-apps=...``, by header or by command line."""

from __future__ import annotations

import re
from typing import Any

from doctor.facts.hardware.reading import Notes, Reading, command_of, decimal, number, size

kind = "nvidia-smi --query"
_FIELD = r"[a-z]\w*(?:\.\w+)*(?: \[[^\]]{1,20}\])?"
_TELLING = r"(?:memory\.(?:total|used|free|reserved)|utilization\.gpu|driver_version|used_gpu_memory|power\.limit)"
marker = re.compile(
    rf"^\s*+(?=[^\n]{{0,400}}\b{_TELLING}\b){_FIELD}(?:, ?{_FIELD})*\s*$"
    r"|^.{0,200}\bnvidia-smi\b.{0,200}--query-(?:gpu|compute-apps)="
)
_QUERY = re.compile(r"--query-(?:gpu|compute-apps)=(?P<fields>[\w.,]+)")


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """One device (or process) a row."""
    notes = Notes(kind, first_line, path)
    command = command_of(lines[0]) or (lines[0] if "--query-" in lines[0] else None)
    names: list[str] = []
    start = 1
    if command is not None:
        query = _QUERY.search(command)
        names = query["fields"].split(",") if query else []
        if "noheader" not in command:
            names, start = _header(lines[1]) if len(lines) > 1 else [], 2
    else:
        names = _header(lines[0])
    unit = "MiB"  # the header's "[MiB]"; with nounits only the number is printed
    last = min(start, len(lines)) - 1
    rows = 0
    for i, line in enumerate(lines[start:], start):
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) != len(names) or len(names) < 2 or command_of(line):
            break
        rows, last = rows + 1, i
        _row(notes, dict(zip(names, cells, strict=True)), unit, rows - 1, i)
    if not rows:
        return Reading() if command is None and len(names) < 2 else _empty(notes, last)
    return notes.done(last)


def _empty(notes: Notes, last: int) -> Reading:
    notes.problem(0, "no row under the header")
    return notes.done(last)


def _header(line: str) -> list[str]:
    return [cell.partition("[")[0].strip() for cell in line.split(",")]


def _row(notes: Notes, row: dict[str, str], unit: str, place: int, i: int) -> None:
    if "pid" in row:
        used = row.get("used_gpu_memory", row.get("used_memory"))
        name = row.get("process_name", row.get("name"))
        notes.record("process", i, pid=number(row["pid"]), name=name or None, bytes=size(used, unit))
        return
    fields: dict[str, Any] = {
        "index": number(row["index"]) if "index" in row else place,
        "backend": "cuda",
        "description": row.get("name", row.get("gpu_name")) or None,
        "total": size(row.get("memory.total"), unit),
        "used": size(row.get("memory.used"), unit),
        "free": size(row.get("memory.free"), unit),
        "reserved": size(row.get("memory.reserved"), unit),
        "utilisation": decimal(row.get("utilization.gpu")),
        "power_limit": decimal(row.get("power.limit", row.get("enforced.power.limit"))),
        "capability": row.get("compute_cap"),
        "display": {"Enabled": True, "Disabled": False}.get(row.get("display_active", "")),
        "mig": {"Enabled": True, "Disabled": False}.get(row.get("mig.mode.current", "")),
    }
    if fields["free"] is None and fields["total"] is not None and fields["used"] is not None:
        fields["free"] = fields["total"] - fields["used"] - (fields["reserved"] or 0)
    notes.record("device", i, **fields)
    driver = row.get("driver_version", "")
    if place == 0 and re.fullmatch(r"\d+(?:\.\d+)*", driver):
        notes.fact("host.gpu_driver", driver, i)
