"""``nvidia-smi``: the table, old (driver 418) to new (driver 610, "KMD Version"), or the error in its place.

Memory is printed in MiB. The table has no free memory; total minus used stands for it, which leaves out what the driver
holds back for itself (a few hundred MiB, shown as "Reserved" by ``nvidia-smi -q``).
"""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading, decimal, number, size

kind = "nvidia-smi"
_ERROR = (
    r"NVIDIA-SMI has failed because|Failed to initialize NVML: |No devices were found\s*$"
    r"|Unable to determine the device handle for (?:GPU|gpu)"
)
marker = re.compile(rf"^\W*NVIDIA-SMI +\S+ +(?:Driver|KMD) Version:|^\s*+(?:{_ERROR})")

_MAX_WIDTH = 300
_VERSIONS = re.compile(r"(?:Driver|KMD) Version: *(?P<driver>[\d.]+)(?:.*CUDA (?:UMD )?Version: *(?P<cuda>[\d.]+))?")
_GPU = re.compile(
    r"\s*\| +(?P<index>\d{1,4}) +(?P<name>\S.*?) +(?:On|Off|N/A|WDDM|TCC|MCDM|ERR!) *\| *"
    r"[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.\S *(?P<display>On|Off|N/A)? *\|"
)
_USAGE = re.compile(
    r"\s*\|[^|]*?(?P<power>[\d.]+W|N/A|ERR!)? */ *(?P<limit>[\d.]+W|N/A|ERR!)? *\|"
    r" *(?P<used>\d+MiB|\S+) */ *(?P<total>\d+MiB|\S+) *\| *(?:(?P<load>\d+)%)?"
)
_MIG = re.compile(r"\s*\|\s+\|\s+\| *(?P<mig>Enabled\*?|Disabled\*?|N/A) *\|")
_PROCESS = re.compile(
    r"\s*\| +(?P<gpu>\d{1,4})(?: +(?:N/A|\d+) +(?:N/A|\d+))? +(?P<pid>\d{1,9}) +(?:M\+)?[CG](?:\+[CG])? +"
    r"(?P<name>.*?) +(?P<used>\d+MiB|N/A) *\|"
)


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """Driver, CUDA version, devices and the processes that hold their memory. MIG slices are passed over."""
    notes = Notes(kind, first_line, path)
    head = _VERSIONS.search(lines[0])
    if not head:
        notes.fact("host.gpu_error", lines[0].strip()[:300], 0)
        return notes.done(0)
    notes.fact("host.gpu_driver", head["driver"], 0)
    notes.fact("host.cuda_version", head["cuda"], 0)
    device = None
    pending: int | None = None
    ended, last = False, 0
    for i, line in enumerate(lines[1:], 1):
        if (line.strip() and not line.lstrip().startswith(("|", "+"))) or len(line) > _MAX_WIDTH:
            break
        if "Driver Version:" in line or "KMD Version:" in line:
            break  # the next table
        if not line.strip():
            continue
        last = i
        ended = ended or "Processes:" in line or "MIG devices:" in line
        if found := _PROCESS.fullmatch(line.rstrip()) if ended else None:
            notes.record(
                "process",
                i,
                pid=number(found["pid"]),
                name=found["name"].strip() or None,
                device=number(found["gpu"]),
                bytes=size(found["used"]),
            )
        elif not ended and (found := _GPU.match(line)):
            display = {"On": True, "Off": False}.get(found["display"] or "")
            device = notes.record(
                "device",
                i,
                index=number(found["index"]),
                backend="cuda",
                description=found["name"].rstrip(" ."),
                display=display,
            )
            pending = i
        elif not ended and device is not None and pending is not None and (found := _USAGE.match(line)):
            pending = None
            used, total = size(found["used"]), size(found["total"])
            free = total - used if used is not None and total is not None else None
            more = {
                "total": total,
                "used": used,
                "free": free,
                "power_limit": decimal((found["limit"] or "").rstrip("W")),
                "utilisation": decimal(found["load"]),
            }
            device.fields.update({name: value for name, value in more.items() if value is not None})
            if total is None:
                notes.problem(i, "no memory figures for this device")
        elif not ended and device is not None and (found := _MIG.match(line)):
            device.fields["mig"] = found["mig"].startswith("Enabled")
    if pending is not None:
        notes.problem(pending, "the table ends in the middle of a device")
    elif device is None:
        notes.problem(0, "no device could be read")
    return notes.done(last)
