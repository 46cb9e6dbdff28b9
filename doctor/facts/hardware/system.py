"""``uname -a`` (Linux, macOS), /etc/os-release and ``sw_vers``."""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading

kind = "system"
marker = re.compile(
    r"^\s*+(?:Linux \S+ \d+\.\d+\S* #\S+ |Darwin \S+ \d+\.\d+\S* Darwin Kernel Version |PRETTY_NAME=\S"
    r"|ProductName:\s+mac ?OS)"
)

_UNAME = re.compile(r"\s*(?P<os>Linux|Darwin) \S+ (?P<kernel>\S+) ")
_OS_RELEASE = re.compile(r"[A-Z][A-Z0-9_]*=.*")


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """Operating system and kernel release."""
    notes = Notes(kind, first_line, path)
    if uname := _UNAME.match(lines[0]):
        notes.fact("host.os", uname["os"], 0)
        notes.fact("host.kernel", uname["kernel"], 0)
        return notes.done(0)
    if lines[0].lstrip().startswith("PRETTY_NAME="):
        notes.fact("host.os", lines[0].split("=", 1)[1].strip().strip("\"'"), 0)
        last = 0
        for i, line in enumerate(lines[1:], 1):
            if not _OS_RELEASE.fullmatch(line.strip()):
                break
            last = i
        return notes.done(last)
    version = re.search(r"ProductVersion:\s+(\S+)", "\n".join(lines[1:3]))
    notes.fact("host.os", f"macOS {version[1]}" if version else "macOS", 0)
    return notes.done(min(2, len(lines) - 1) if version else 0)
