"""What a process's end says: exit statuses, signals, systemd's own codes, Windows' NTSTATUS values.

The same end has many spellings. A program that Linux killed for memory is `137` to a shell and to docker, `-9` to
Python's subprocess, `SIGKILL` to systemd and `signal: killed` to a Go program such as ollama; the end of an aborted
program on Windows is 0xC0000409, -1073740791 to a .NET program, and 18446744072635812000 to a JavaScript one, which has
lost the last digits. `explain` reads all of them; the table with its sources is `exitcodes.yaml` beside this file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_SHELL = "bash manual, Exit Status; signal(7)"
_SYSTEMD = "systemd.exec(5), Process exit codes"
_ERREF = "[MS-ERREF] 2.3 NTSTATUS values"

# How Go's os/exec and the C library word signals ("signal: killed" is what ollama logs).
_WORDS = {
    "hangup": "SIGHUP",
    "interrupt": "SIGINT",
    "quit": "SIGQUIT",
    "illegal instruction": "SIGILL",
    "trace/breakpoint trap": "SIGTRAP",
    "abort": "SIGABRT",
    "aborted": "SIGABRT",
    "iot": "SIGABRT",
    "bus error": "SIGBUS",
    "floating point exception": "SIGFPE",
    "killed": "SIGKILL",
    "segmentation fault": "SIGSEGV",
    "broken pipe": "SIGPIPE",
    "alarm clock": "SIGALRM",
    "terminated": "SIGTERM",
    "bad system call": "SIGSYS",
}
_CANDIDATES = 3  # how many look-alikes of a rounded number are told
_LEAD = re.compile(r"(?:process|exit(?:ed)?|with|status|code|error|rc|[:=\s])+(?=[-+\w])", re.IGNORECASE)
_SIGNAL_LEAD = re.compile(r"signal[:=\s]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ExitMeaning:
    """One way for a process to end.

    Attributes:
        code: the code as it was asked for.
        name: SIGKILL, STATUS_DLL_NOT_FOUND, "command not found", ...
        meaning: what the operating system, shell or supervisor says by it.
        causes: what is usually behind it with a local inference engine, most frequent first.
        look_at: where to look next, in order.
        source: where the meaning is defined.
    """

    code: str
    name: str
    meaning: str
    causes: tuple[str, ...] = ()
    look_at: tuple[str, ...] = ()
    source: str = ""


def explain(code: str) -> ExitMeaning | None:
    """Explains an exit status, signal or Windows status in any of its usual spellings.

    Args:
        code: `137`, `-9`, `SIGABRT`, `signal: killed`, `0xc0000135`, `-1073741515`, `203/EXEC`, ...

    Returns:
        The meaning, or None when the text is no exit code that is known here (a rule's id, say).
    """
    asked = code.strip()
    text = _LEAD.sub("", asked, count=1) if _LEAD.match(asked) else asked
    named = _SIGNAL_LEAD.match(text)
    text = text[named.end() :] if named else text
    word = text.lower().removesuffix("(core dumped)").strip(" .")
    name = _WORDS.get(word) or (word.upper() if word.startswith("sig") else f"SIG{word.upper()}")
    for number, row in _table()["signals"].items():
        if row["name"] == name:
            return _signal(asked, number)
    value = _number(text.partition("/")[0])
    if value is None:
        return None
    if named or -64 <= value < -1:
        return _signal(asked, abs(value))
    return _status(asked, value) if -1 <= value <= 255 else _windows(asked, value)


@cache
def _table() -> dict[str, dict[int, dict[str, Any]]]:
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    table: dict[str, dict[int, dict[str, Any]]] = yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader
    return table


def _number(text: str) -> int | None:
    if re.fullmatch(r"0[xX][0-9a-fA-F]{1,16}", text):
        return int(text, 16)
    if re.fullmatch(r"[cCeE][0-9a-fA-F]{7}", text):
        return int(text, 16)
    return int(text) if re.fullmatch(r"[-+]?[0-9]{1,20}", text) else None


def _meaning(asked: str, name: str, row: dict[str, Any], source: str, look_at: tuple[str, ...] = ()) -> ExitMeaning:
    causes, places = tuple(row.get("causes", ())), (*row.get("look_at", ()), *look_at)
    return ExitMeaning(asked, name, row["meaning"], causes, places, source)


def _signal(asked: str, number: int) -> ExitMeaning | None:
    row = _table()["signals"].get(number)
    if row is None:
        return None
    return _meaning(asked, f"{row['name']} (signal {number}, exit status {128 + number})", row, _SHELL)


def _status(asked: str, value: int) -> ExitMeaning | None:
    table, value = _table(), value % 256
    if row := table["statuses"].get(value):
        return _meaning(asked, row["name"], row, _SHELL)
    if row := table["systemd"].get(value):
        look_at = ("systemctl status UNIT, systemctl cat UNIT",)
        return _meaning(asked, f"{value}/{row['name']}", row, _SYSTEMD, look_at)
    return _signal(asked, value - 128) if value > 128 else None


def _windows(asked: str, value: int) -> ExitMeaning | None:
    """A 32-bit status: unsigned, signed, or sign-extended to 64 bits and perhaps rounded to a double on the way."""
    table = _table()["ntstatus"]
    fits = -(1 << 31) <= value < 1 << 32 or value >> 32 == 0xFFFFFFFF
    exact = value & 0xFFFFFFFF if fits else None
    if exact == 0xFFFFFFFF:
        row = {**_table()["statuses"][255], "meaning": "the program returned -1"}
        return _meaning(asked, "-1, read as an unsigned number", row, _SHELL)
    if exact in table:
        return _meaning(asked, f"{table[exact]['name']} (0x{exact:08X})", table[exact], _ERREF)
    # A double holds 53 bits of the 64, so a JavaScript program prints one number for a whole range of statuses.
    near = [status for status in table if value >> 63 == 1 and float(status + 0xFFFFFFFF00000000) == float(value)]
    if not near:
        return None
    rows = [table[status] for status in near[:_CANDIDATES]]
    names = [f"{row['name']} (0x{status:08X})" for status, row in zip(near, rows, strict=False)]
    more = f", or {len(near) - len(rows)} more" if len(near) > len(rows) else ""
    merged = {
        "meaning": f"the number lost its last digits on the way; it is one of {len(near)} statuses, most likely that "
        + "; or that ".join(row["meaning"] for row in rows),
        "causes": dict.fromkeys(cause for row in rows for cause in row.get("causes", ())),
        "look_at": dict.fromkeys(place for row in rows for place in row.get("look_at", ())),
    }
    return _meaning(asked, " or ".join(names) + more, merged, _ERREF)
