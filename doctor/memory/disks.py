"""The disk that the model is read from, and what such a disk delivers."""

from __future__ import annotations

from doctor.memory.values import Values
from doctor.vocabulary.facts import Record

RATES = {"hard disk": 0.16, "SATA SSD": 0.55, "SSD": 0.55, "NVMe drive": 7.0}
"""GB/s at most when read in order: a 3.5-inch disk of 5400 to 7200 rpm, SATA at 6 Gbit/s, PCIe 4.0 x4."""


def model_disk(values: Values) -> tuple[str, float] | None:
    """Its name with its medium, and its rate in GB/s; None where it is not known which disk it is.

    Of several disks it is the one with the longest mount point above the model's path.
    """
    disks = [disk for disk in values.all("disk") if disk.get("medium") in RATES]
    path = values.text("setting.model_path") or ""
    found = _holding(path, disks) if path.startswith("/") else None
    if found is None and len(disks) == 1:
        found = disks[0]
    if found is None:
        return None
    medium = str(found.get("medium"))
    return f"{found.get('name')} ({medium})", RATES[medium]


def _holding(path: str, disks: list[Record]) -> Record | None:
    best: tuple[int, Record] | None = None
    for disk in disks:
        for mount in disk.get("mounts") or []:
            inside = path.startswith(f"{str(mount).rstrip('/')}/")
            if inside and (best is None or len(str(mount)) > best[0]):
                best = (len(str(mount)), disk)
    return best[1] if best else None
