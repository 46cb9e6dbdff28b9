"""``systemctl show UNIT...``: units with their limits and the environment that they really set.

``infinity`` is unlimited, and so is the number that older systemd prints for it (2^64 - 1).
"""

from __future__ import annotations

import re
import shlex

from doctor.facts.hardware.reading import Notes, Reading, number

kind = "systemctl show"
_PROPERTY = re.compile(r"(?P<name>[A-Z][A-Za-z0-9]{1,40})=(?P<value>.*)")
marker = re.compile(
    r"^(?:Id=\S+\.(?:service|scope|socket)|LoadState=\w+|ExecMainStatus=\d+|FragmentPath=/\S+|NRestarts=\d+)\s*$"
)

_KNOWN = {
    *(
        "Id",
        "LoadState",
        "ActiveState",
        "SubState",
        "Result",
        "ExecMainStatus",
        "NRestarts",
        "FragmentPath",
        "DropInPaths",
    ),
    *("ExecStart", "Environment", "EnvironmentFiles", "User", "MemoryMax", "MemoryCurrent", "LimitMEMLOCK", "LimitAS"),
    *("LimitNOFILE", "PrivateDevices", "DeviceAllow", "SupplementaryGroups", "Restart", "Description", "Names"),
}


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """One ``service`` for each unit that is there; blank lines stand between units."""
    notes = Notes(kind, first_line, path)
    unit: dict[str, str] = {}
    start, last = 0, 0
    for i, line in enumerate([*lines, ""]):
        found = _PROPERTY.fullmatch(line.rstrip())
        if found:
            if not unit:
                start = i
            unit[found["name"]] = found["value"]
            last = i
            continue
        if line.strip():
            break
        _put(notes, unit, start)
        unit = {}
    _put(notes, unit, start)
    return notes.done(last)


def _put(notes: Notes, unit: dict[str, str], i: int) -> None:
    if not unit or "Id" not in unit or unit.get("LoadState") == "not-found" or not _KNOWN & unit.keys():
        return
    command = re.search(r"argv\[\]=(.*?) ;", unit.get("ExecStart", ""))
    notes.record(
        "service",
        i,
        name=unit["Id"].removesuffix(".service"),
        state=unit.get("ActiveState"),
        result=unit.get("Result"),
        restarts=number(unit.get("NRestarts")),
        exit_status=number(unit.get("ExecMainStatus")),
        memory_limit=_limit(unit.get("MemoryMax")),
        memlock_limit=_limit(unit.get("LimitMEMLOCK")),
        user=unit.get("User") or None,
        environment=_variables(unit.get("Environment", "")) or None,
        command=command[1] if command else None,
    )


def _limit(text: str | None) -> int | None:
    if text == "infinity":
        return -1
    count = number(text)
    return -1 if count is not None and count >= 2**63 else count


def _variables(text: str) -> dict[str, str]:
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    return dict(word.split("=", 1) for word in words if "=" in word)
