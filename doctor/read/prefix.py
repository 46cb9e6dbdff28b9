"""What stands before a program's own words on a line: host, service, process, time.

Patterns look behind any prefix, so a log is scanned as it is; this is for the few lines that hit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from doctor.read.times import parse_time

_LOOK_CHARS = 400
_HEAD_BYTES = 8 * 1024
_HEAD_LINES = 30
_ISO = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
_SYSLOG_TIME = r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?"
_HOST = r"(?P<host>[A-Za-z0-9][\w.:-]{0,254}?)"
_UNIT = r"(?P<unit>[\w@/.+:\\-]{1,128}?)"
_RELATIVE = r"(?P<minutes>\d{1,8})\.(?P<seconds>\d{2})\.(?P<millis>\d{3})\.(?P<micros>\d{3}) (?=[A-Z] )"

# Outermost first; a line may carry several of them, each once.
_PREFIXES = (
    # docker compose logs: the longest name is followed by two blanks, docker compose v2 cmd/formatter/logs.go
    re.compile(r"(?P<unit>[a-z0-9][\w.-]{0,100}) {2,100}\| "),
    re.compile(r"\[pod/(?P<host>[^/\]\s]{1,253})/(?P<unit>[^/\]\s]{1,253})\] "),  # kubectl logs --prefix
    # syslog, journalctl -o short: always with a host
    re.compile(rf"(?:<\d{{1,3}}>)?(?P<time>{_SYSLOG_TIME}) {_HOST} {_UNIT}(?:\[(?P<pid>\d{{1,10}})\])?: "),
    # journalctl -o short-iso, RFC 5424 style stamps: with a process, or else any two words would do
    re.compile(rf"(?:<\d{{1,3}}>)?(?P<time>{_ISO}) {_HOST} (?:{_UNIT}\[(?P<pid>\d{{1,10}})\]|(?P<kernel>kernel)): "),
    re.compile(rf"(?P<time>{_ISO}) (?:stdout|stderr) [PF](?::\S*)? "),  # CRI
    re.compile(rf"(?P<time>{_ISO}) (?=\S)"),  # docker logs --timestamps
    # vLLM's processes (_add_prefix of its utils); Ray's workers, which name the machine if it is another one
    re.compile(
        r"\((?:(?P<unit>[A-Za-z][\w.:-]{0,80}) )?(?:[\w-]+=[\w.-]+,? )*pid=(?P<pid>\d{1,10})"
        r"(?:, ip=(?P<host>[\da-fA-F.:]+))?\) "
    ),
    re.compile(r"\[ *(?P<clock>\d{1,10}\.\d{6})\] "),  # the kernel's, seconds since boot
    # llama.cpp since 2026: minutes.seconds.milliseconds.microseconds since start
    re.compile(_RELATIVE),
)
_RELATIVE_AT_ALL = re.compile(r"\.\d{2}\.\d{3}\.\d{3} [A-Z] ")
_OF_SERVICES = _PREFIXES[:4]  # those that the platform puts, not the program itself
_WITH_HOST = tuple(pattern for pattern in _PREFIXES if "(?P<host>" in pattern.pattern and "time" in pattern.groupindex)


@dataclass(frozen=True, slots=True)
class Envelope:
    """Attributes:
    host: machine, or pod.
    unit: service, container or process as the prefix names it.
    pid: process id.
    time: with a zone.
    clock: seconds since the program's or the machine's start.
    start: where the program's own words begin.
    """

    host: str | None = None
    unit: str | None = None
    pid: int | None = None
    time: datetime | None = None
    clock: float | None = None
    start: int = 0


def envelope(line: str) -> Envelope:
    """What the prefixes of a line say; of two that say the same thing the inner one counts, but the outer's host."""
    text = line[:_LOOK_CHARS]
    at = 0
    found: dict[str, str] = {}
    clock = time = None
    for pattern in _PREFIXES:
        match = pattern.match(text, at)
        if not match:
            continue
        at = match.end()
        said = {name: value for name, value in match.groupdict().items() if value}
        if "time" in said:
            time = time or parse_time(said["time"])
        if "clock" in said:
            clock = float(said["clock"])
        if "minutes" in said:
            clock = int(said["minutes"]) * 60 + float(f"{said['seconds']}.{said['millis']}{said['micros']}")
        if "kernel" in said:
            said["unit"] = said["kernel"]
        host = found.get("host") or said.get("host")
        found |= said
        if host:
            found["host"] = host
    return Envelope(
        found.get("host"),
        found.get("unit"),
        int(found["pid"]) if "pid" in found else None,
        time or (parse_time(text) if at < len(text) else None),
        clock,
        at,
    )


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who the platform says printed a line: a service or container, on a machine or in a pod, and its process."""

    unit: str
    host: str | None = None
    pid: int | None = None


def speaker(line: str) -> Speaker | None:
    """The outermost prefix that names a service; None where none does."""
    match = next((match for pattern in _OF_SERVICES if (match := pattern.match(line[:_LOOK_CHARS]))), None)
    said = match.groupdict() if match else {}
    if not said.get("unit"):
        return None
    return Speaker(said["unit"], said.get("host"), int(said["pid"]) if said.get("pid") else None)


def relative_clock(line: str) -> float | None:
    """Seconds since llama.cpp's start, by its prefix of 2026, behind whatever other prefixes; None without it."""
    return envelope(line).clock if _RELATIVE_AT_ALL.search(line[:_LOOK_CHARS]) else None


def host_of(head: bytes) -> str | None:
    """The host that syslog prefixes at the beginning of a log name, in its short form; None if not all are of one."""
    names: set[str] = set()
    lines = [line for line in head[:_HEAD_BYTES].split(b"\n")[:_HEAD_LINES] if line.strip()]
    for line in lines:
        text = line[:_LOOK_CHARS].decode("utf-8", "replace")
        found = next((match for pattern in _WITH_HOST if (match := pattern.match(text))), None)
        if found is None:
            return None
        names.add(found["host"])
    if len(names) != 1:
        return None
    name = names.pop()
    if name in {"localhost", "-"}:
        return None
    return name if re.fullmatch(r"[\d.:]+", name) else name.split(".")[0].lower()
