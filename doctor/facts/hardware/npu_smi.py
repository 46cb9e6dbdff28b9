"""``npu-smi info`` of Huawei's Ascend NPUs. "MB" there means MiB.

Each chip takes two rows: name, health and power; then its bus, load and memory (HBM, or DDR on an inference card).
"""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading, decimal, number, size
from doctor.vocabulary.facts import Record

kind = "npu-smi"
marker = re.compile(r"^\s*+\| npu-smi \S+ +Version: \S+ +\|")

_FIRST = re.compile(
    r"\| (?P<npu>\d{1,4}) +(?P<name>\S+) +\| (?P<health>[A-Za-z]\w*) +\| (?P<power>\S+) +(?P<temperature>\S+) +.*\|"
)
_SECOND = re.compile(
    r"\| (?P<chip>\d{1,4})(?: +(?P<phy>\d{1,4}))? +\| (?P<bus>[0-9A-Fa-f:.]+|NA) +\| (?P<load>\S+)"
    r" +(?P<memory>\d+ */ *\d+)(?: +(?P<hbm>\d+ */ *\d+))? *\|"
)
_PROCESS = re.compile(
    r"\| (?P<npu>\d{1,4}) +(?P<chip>\d{1,4}) +\| (?P<pid>\d{1,9}) +\| (?P<name>.*?) +\| (?P<used>\d+) +\|.*"
)


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """One device a chip, in the order of the table (as CANN counts), and the processes on it."""
    notes = Notes(kind, first_line, path)
    device: Record | None = None
    places: dict[tuple[str, str], int] = {}
    npu, last = "", 0
    version = re.search(r"Version: (\d\S*)", lines[0])
    notes.fact("host.gpu_driver", version[1] if version else None, 0)
    for i, line in enumerate(lines[1:], 1):
        text = line.strip()
        if not text.startswith(("|", "+")):
            if text:
                break
            continue
        last = i
        if found := _PROCESS.fullmatch(text):
            index = places.get((found["npu"], found["chip"]))
            used = size(f"{found['used']} MiB")
            notes.record("process", i, pid=number(found["pid"]), name=found["name"] or None, device=index, bytes=used)
        elif found := _FIRST.fullmatch(text):
            npu = found["npu"]
            device = notes.record(
                "device",
                i,
                index=len(places),
                backend="cann",
                description=f"Ascend {found['name']}",
                health=found["health"],
                power_draw=decimal(found["power"]),
                temperature=decimal(found["temperature"]),
            )
        elif device is not None and (found := _SECOND.fullmatch(text)):
            places[npu, found["chip"]] = device.fields["index"]
            used, total = (size(f"{part} MiB") for part in re.split(r" */ *", found["hbm"] or found["memory"]))
            device.fields |= {"bus": found["bus"].lower(), "total": total, "used": used}
            if total is not None and used is not None:
                device.fields["free"] = total - used
            if (load := decimal(found["load"])) is not None:
                device.fields["utilisation"] = load
            device = None
    if not places:
        notes.problem(0, "no device could be read")
    return notes.done(last)
