"""``free`` with any of its unit options, in several languages and in the layout of old versions.

Without a suffix the numbers are KiB (``free``), or bytes, MiB or GiB (``-b``, ``-m``, ``-g``). The header does not say
which: the command line in front of it does, else the file's name, else the size of the numbers (told as a problem).
"""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading, command_of, size

kind = "free"
_TOTAL = "total|gesamt|总计|總計|全部|合計|всего|всього|razem|suma|totalt|totale|totaal|celkem|összesen|toplam"
marker = re.compile(rf"^\s++(?:{_TOTAL})\s+\S+\s+\S+|[$#%+>❯➜] +(?:\S+ +)?free(?: +-[-\w ]*+| *+)$")

_HEADER = re.compile(rf"\s*(?:{_TOTAL})\s+\S+\s+\S+.*")
_ROW = re.compile(
    r"\s*(?P<label>[^:：]{1,40}?)\s*[:：]\s*(?P<values>[-\d][\d.,]*[A-Za-z]{0,2}(?:\s+\d[\d.,]*[A-Za-z]{0,2})*)\s*"
)
_NO_SWAP = re.compile(r"-/\+|low|high|total|mem|gesamt|comm", re.IGNORECASE)
_OPTION_UNITS = {"b": "", "k": "KiB", "m": "MiB", "g": "GiB", "h": "", "t": "TiB"}
_FILE_NAME = re.compile(r"free[-_ ]*(?P<unit>[bkmgh])(?![a-z])", re.IGNORECASE)


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """RAM total, free and available, and swap."""
    notes = Notes(kind, first_line, path)
    command = command_of(lines[0])
    head = next((i for i, line in enumerate(lines[:3]) if _HEADER.fullmatch(line)), None)
    if head is None or head + 1 >= len(lines):
        return Reading()
    mem = _ROW.fullmatch(lines[head + 1])
    if not mem:
        return Reading()
    words, values = lines[head].split(), mem["values"].split()
    unit = _unit(notes, command, path, values[0], head + 1)
    notes.fact("host.ram_total", size(values[0], unit), head + 1)
    if len(values) > 2:
        notes.fact("host.ram_free", size(values[2], unit), head + 1)
    old_layout = "cached" in words
    if len(values) > 5 and not old_layout:
        notes.fact("host.ram_available", size(values[-1], unit), head + 1)
    last = head + 1
    for i, line in enumerate(lines[head + 2 : head + 8], head + 2):
        row = _ROW.fullmatch(line)
        if not row:
            break
        last, values = i, row["values"].split()
        if "-/+" in row["label"] and old_layout and len(values) == 2:
            # before procps 3.3.10 the free figure of this row was the nearest thing to "available"
            notes.fact("host.ram_available", size(values[1], unit), i)
        elif len(values) == 3 and not _NO_SWAP.match(row["label"]):
            notes.fact("host.swap_total", size(values[0], unit), i)
            notes.fact("host.swap_free", size(values[2], unit), i)
    return notes.done(last)


def _unit(notes: Notes, command: str | None, path: str, total: str, i: int) -> str:
    if re.search(r"[A-Za-z]", total):
        return ""
    if command is not None:
        option = re.search(r"\s-{1,2}(?:w|t|l|s \d+)*(?P<unit>[bkmght])", command)
        return _OPTION_UNITS[option["unit"]] if option else "KiB"
    named = _FILE_NAME.search(path.replace("\\", "/").rsplit("/", 1)[-1])
    if named and named["unit"].lower() != "h":
        return _OPTION_UNITS[named["unit"].lower()]
    # No machine for language models has less than 2 GiB or more than 8 TiB of RAM.
    count = size(total) or 0
    unit = "GiB" if count < 4096 else "MiB" if count < 2 * 1024**2 else "KiB" if count < 8 * 1024**3 else ""
    if unit != "KiB":
        notes.problem(i, f"no unit is given; the numbers were read as {unit or 'bytes'} because of their size")
    return unit
