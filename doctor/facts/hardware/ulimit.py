"""``ulimit -a`` as bash, dash (``sh``) and zsh print it, whole or grepped; also ``ulimit -l`` and ``ulimit -v`` alone.

"kbytes" there are KiB. Unlimited is -1.
"""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading, command_of, number

kind = "ulimit"
_NAMES = {
    "max locked memory": "host.memlock_limit",
    "locked memory": "host.memlock_limit",
    "locked-in-memory size": "host.memlock_limit",
    "virtual memory": "host.address_space_limit",
    "vmemory": "host.address_space_limit",
    "address space": "host.address_space_limit",
    "virtual memory size": "host.address_space_limit",
    "open files": "host.open_files_limit",
    "nofiles": "host.open_files_limit",
    "file descriptors": "host.open_files_limit",
}
_OPTIONS = {"l": "locked memory", "v": "vmemory", "n": "nofiles"}
# bash: "max locked memory  (kbytes, -l) 8192"
_BASH = r"[a-zA-Z][a-zA-Z -]{1,40}? +\((?:[\w ]{1,20}, )?-[a-zA-Z]\) (?:\d{1,20}|unlimited)"
# dash: "locked memory(kbytes) 8192"
_DASH_NAMES = r"time|file|data|stack|coredump|memory|locked memory|process|nofiles|vmemory|locks|rtprio"
_DASH = rf"(?:{_DASH_NAMES})(?:\(\w+\))? +(?:\d{{1,20}}|unlimited)"
# zsh: "-l: locked-in-memory size (kbytes)  64"
_ZSH = r"-[a-zA-Z0-9]+(?: \d+)?: [a-zA-Z][\w -]{1,40}?(?: \(\w+\))? +(?:\d{1,20}|unlimited)"
marker = re.compile(rf"^\s*+(?:{_BASH}|{_DASH}|{_ZSH})\s*$|[$#%+>❯➜] +(?:\S+ +)?ulimit +-[HS]?[lvn]\s*$")

_ANY = re.compile(rf"\s*(?:{_BASH}|{_DASH}|{_ZSH})\s*")
_LINE = re.compile(
    r"\s*(?:-\w+(?: \d+)?: )?(?P<name>[a-zA-Z][a-zA-Z -]*?) *(?:\([\w ,-]+\))? +(?P<value>\d{1,20}|unlimited)\s*"
)


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """The limits on locked memory, address space and open files."""
    notes = Notes(kind, first_line, path)
    command = command_of(lines[0])
    if command and len(lines) > 1 and (option := re.search(r"-[HS]?(?P<option>[lvn])\s*$", command)):
        value = lines[1].strip()
        if not re.fullmatch(r"\d{1,20}|unlimited", value):
            return Reading()
        _put(notes, _OPTIONS[option["option"]], value, 1)
        return notes.done(1)
    last = -1
    for i, line in enumerate(lines):
        found = _LINE.fullmatch(line) if _ANY.fullmatch(line) else None
        if not found:
            break
        last = i
        _put(notes, found["name"], found["value"], i)
    return notes.done(last) if last >= 0 else Reading()


def _put(notes: Notes, words: str, value: str, i: int) -> None:
    name = _NAMES.get(words)
    if name is None:
        return
    count = -1 if value == "unlimited" else number(value)
    if count is not None and count >= 0 and name != "host.open_files_limit":
        count *= 1024
    notes.fact(name, count, i)
