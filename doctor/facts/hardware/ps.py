"""``ps`` with any columns: ``ps aux``, ``ps -ef``, ``ps -eo pid,user,rss,etimes,args``. RSS is KiB."""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading, number

kind = "ps"
marker = re.compile(r"^\s*+(?=.*\bPID\b)[A-Z%]+(?: +[A-Z%]+)* +(?:COMMAND|CMD|ARGS)\s*$")

_ELAPSED = re.compile(r"(?:(?:(?P<days>\d+)-)?(?P<hours>\d+):)?(?P<minutes>\d+):(?P<seconds>\d+)")
_MOST = 5000


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """One ``task`` a program."""
    notes = Notes(kind, first_line, path)
    names = lines[0].split()
    if "PID" not in names:
        return Reading()
    last, rows = 0, 0
    for i, line in enumerate(lines[1:_MOST], 1):
        cells = line.split(None, len(names) - 1)
        if len(cells) < len(names):
            break
        row = dict(zip(names, cells, strict=True))
        pid = number(row.get("PID"))
        if pid is None:
            break
        rows, last = rows + 1, i
        command = cells[-1].strip()
        rss = number(row.get("RSS"))
        notes.record(
            "task",
            i,
            pid=pid,
            user=row.get("USER") or row.get("UID") or row.get("RUSER"),
            resident=rss * 1024 if rss is not None else None,
            seconds=_seconds(row.get("ELAPSED", "")),
            command=command,
            program=re.split(r"[/\\]", command.split()[0])[-1],
        )
    if not rows:
        notes.problem(0, "no row under the header")
    return notes.done(last)


def _seconds(text: str) -> int | None:
    if text.isdecimal() and len(text) < 16:
        return int(text)
    found = _ELAPSED.fullmatch(text) if len(text) < 30 else None
    if not found:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
