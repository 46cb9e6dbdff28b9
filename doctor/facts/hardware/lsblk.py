"""``lsblk``: disks, with size, model, medium and mount points (``-o NAME,ROTA,TRAN,SIZE,MODEL,MOUNTPOINT``)."""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading, columns, size
from doctor.vocabulary.facts import Record

kind = "lsblk"
_VIRTUAL = re.compile(r"(?:vd|xvd|loop|zram|ram|nbd|sr|fd)")
_CHILD = re.compile(r"\s*[│├└|`]")
_MORE_MOUNTS = re.compile(r"[\s│|]+/\S*\s*$")
marker = re.compile(r"^\s*+NAME ++(?=.*\b(?:SIZE|ROTA)\b)[A-Z][A-Z0-9:% _-]*$")


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """One ``disk`` record for each whole disk; partitions and mapped volumes below it are passed over."""
    notes = Notes(kind, first_line, path)
    names = lines[0].split()
    last = 0
    disk: Record | None = None
    for i, line in enumerate(lines[1:], 1):
        if not line.strip():
            break
        if last and _MORE_MOUNTS.match(line):
            last = i
            _mounted(disk, line.split()[-1])
            continue
        if not re.match(r"\s*[│├└|`─-]*\w", line):
            break
        cells = columns(lines[0], line)
        if not {"NAME", "SIZE" if "SIZE" in names else "ROTA"} <= cells.keys():
            break
        last = i
        mount = cells.get("MOUNTPOINT") or cells.get("MOUNTPOINTS")
        if _CHILD.match(line):
            _mounted(disk, mount)
            continue
        disk = None
        if cells.get("TYPE", "disk") != "disk":
            continue
        total = size(cells.get("SIZE"))
        if not total and "SIZE" in names:
            continue
        rotates = {"0": False, "1": True}.get(cells.get("ROTA", ""))
        name = cells["NAME"]
        told = _medium(name, rotates, cells.get("TRAN"))
        disk = notes.record(
            "disk", i, name=name, bytes=total, rotational=rotates, model=cells.get("MODEL"), medium=told
        )
        _mounted(disk, mount)
    if not last:
        notes.problem(0, "no row under the header")
    return notes.done(last)


def _medium(name: str, rotates: bool | None, transport: str | None) -> str | None:
    """What a disk is; None for those of a virtual machine, whose ``ROTA`` tells nothing, and where nothing tells."""
    if name.startswith("nvme") or transport == "nvme":
        return "NVMe drive"
    if rotates is None or _VIRTUAL.match(name):
        return None
    if rotates:
        return "hard disk"
    return "SATA SSD" if transport in {"sata", "ata"} else "SSD"


def _mounted(disk: Record | None, mount: str | None) -> None:
    """Adds a mount point of the disk or of something on it."""
    if disk is not None and mount and mount.startswith("/"):
        disk.fields.setdefault("mounts", []).append(mount)
