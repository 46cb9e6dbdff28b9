"""``docker inspect CONTAINER`` (also cut off) and ``docker stats``.

Without a limit ``docker stats`` shows the host's RAM as the limit, so its figures stay with the ``container`` record
and no limit of the host is concluded from them.
"""

from __future__ import annotations

import json
import re

from doctor.facts.hardware.reading import Notes, Reading, columns, number, size
from doctor.vocabulary.facts import ABSENT

kind = "docker"
marker = re.compile(
    r"^\s*+(?:CONTAINER|NAME)\b.*MEM USAGE / LIMIT"
    r"|^\s*+(?:\[\s*)?(?:\{.{0,100000}?)?\"(?:OOMKilled|HostConfig|MemorySwap|ShmSize)\": ?"
    r"|^\s*+\"(?:Id\": \"[0-9a-f]{64}\"|Name\": \"/[\w.-]+\"),\s*$"
)

_VALUE = re.compile(
    r"\"(?P<key>OOMKilled|ExitCode|Running|Memory|ShmSize|Status)\": ?(?P<value>-?\d{1,18}|true|false|\"\w*\")"
)
_STATS = re.compile(
    r"\s*(?P<id>\S+)\s+(?:(?P<name>\S+)\s+)?[\d.]+%\s+(?P<used>[\d.]+\w+) / (?P<limit>[\d.]+\w+)\s+[\d.]+%.*"
)


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """A container's memory limit, shared memory, exit status and whether the kernel killed it for memory."""
    notes = Notes(kind, first_line, path)
    return _stats(notes, lines) if "MEM USAGE" in lines[0] else _inspect(notes, lines)


def _stats(notes: Notes, lines: list[str]) -> Reading:
    last = 0
    for i, line in enumerate(lines[1:], 1):
        row = _STATS.fullmatch(line)
        if not row:
            break
        last = i
        name = columns(lines[0], line).get("NAME") or row["name"] or row["id"]
        notes.record("container", i, name=name, used=size(row["used"]), limit=size(row["limit"]))
    if not last:
        notes.problem(0, "no row under the header")
    return notes.done(last)


def _inspect(notes: Notes, lines: list[str]) -> Reading:
    seen: dict[str, tuple[str, int]] = {}
    last = 0
    for i, line in enumerate(lines):
        if not re.match(r"\s*[\]\[{}\"]|\s*(?:null|true|false|-?\d)", line):
            break
        last = i
        for found in _VALUE.finditer(line):
            seen.setdefault(found["key"], (found["value"].strip('"'), i))
        if line.rstrip() in ("]", "}]"):
            break
    _record(notes, "\n".join(lines[: last + 1]))
    if "OOMKilled" in seen:
        notes.fact("host.container_oom_killed", seen["OOMKilled"][0] == "true", seen["OOMKilled"][1])
    running = seen.get("Running", ("", 0))[0] == "true" or seen.get("Status", ("", 0))[0] == "running"
    if "ExitCode" in seen and not running:
        notes.fact("exit.status", number(seen["ExitCode"][0]), seen["ExitCode"][1])
    if "Memory" in seen:
        limit = number(seen["Memory"][0])
        notes.fact("host.cgroup_limit", limit or ABSENT, seen["Memory"][1])
    if "ShmSize" in seen:
        notes.fact("host.shm_size", number(seen["ShmSize"][0]), seen["ShmSize"][1])
    return notes.done(last)


def _record(notes: Notes, text: str) -> None:
    """A ``container`` record for each whole object, beside the facts: an output that was cut off has none."""
    text = text.lstrip()
    text = text if text.startswith(("[", "{")) else "[{" + text  # pretty-printed, the brackets stand above
    try:
        data = json.JSONDecoder().raw_decode(text)[0]
    except (ValueError, RecursionError):
        return
    for container in data if isinstance(data, list) else [data]:
        if not isinstance(container, dict) or not isinstance(container.get("Name"), str):
            continue
        state, host = container.get("State"), container.get("HostConfig")
        state, host = state if isinstance(state, dict) else {}, host if isinstance(host, dict) else {}
        config = container.get("Config")
        running = state.get("Running") is True
        notes.record(
            "container",
            0,
            name=container["Name"].lstrip("/"),
            image=config.get("Image") if isinstance(config, dict) else None,
            running=running,
            oom_killed=state.get("OOMKilled"),
            exit_status=None if running else state.get("ExitCode"),
            restarts=container.get("RestartCount"),
            limit=host.get("Memory") or None,
            shm_size=host.get("ShmSize"),
            runtime=host.get("Runtime"),
            gpus=_gpus(host.get("DeviceRequests")),
        )


def _gpus(requests: object) -> str:
    """``all``, a number, or ids; empty where no GPU was asked for (--gpus)."""
    for request in requests if isinstance(requests, list) else []:
        if isinstance(request, dict) and "gpu" in str(request.get("Capabilities")):
            ids = request.get("DeviceIDs")
            count = request.get("Count")
            return ",".join(map(str, ids)) if isinstance(ids, list) and ids else "all" if count == -1 else str(count)
    return ""
