"""What goes into a bundle: the logs of the engines that were found or named, their configuration, the probe."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from doctor.errors import UsageProblem
from doctor.probe.ask import is_there
from doctor.probe.document import Probe
from doctor.read.sources import Collection, Source, collect

if TYPE_CHECKING:
    from doctor.read.services import Service

MIB = 1024 * 1024
_HEAD_BYTES = 256 * 1024  # of a log that is longer than what is kept: how the program was started stands at its top
_CONFIG_BYTES = MIB
_MOST_PODS = 16
_USUAL_LOGS = (
    *("/opt/homebrew/var/log/*llama*.log", "/usr/local/var/log/*llama*.log"),
    *("~/.ollama/logs/server.log", "/var/log/gpustack/*.log", "/var/lib/gpustack/log/**/*.log", "/var/log/ollama*.log"),
    *(
        "/var/log/vllm*.log",
        "/var/log/llama*.log",
        "~/.lmstudio/server-logs/**/*.log",
        "~/.cache/lm-studio/server-logs/**/*.log",
    ),
)
_LAUNCHD = ("~/Library/LaunchAgents", "/Library/LaunchAgents", "/Library/LaunchDaemons")
_USUAL_CONFIG = (
    *("/etc/default/ollama", "/etc/default/gpustack", "/etc/sysconfig/ollama", "/etc/gpustack/*.yaml"),
    *(f"{folder}/*{name}*.plist" for folder in _LAUNCHD for name in ("ollama", "llama", "gpustack")),
)


@dataclass(slots=True)
class Member:
    """One file of the bundle.

    Attributes:
        name: its path in the bundle.
        origin: where it came from.
        text: its content, not yet cleaned.
        left_out: bytes that were too many.
    """

    name: str
    origin: str
    text: str
    left_out: int = 0


@dataclass(slots=True)
class Gathered:
    """Members, and trouble as (subject, message, hint)."""

    members: list[Member] = field(default_factory=list)
    problems: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, folder: str, origin: str, text: str, left_out: int = 0) -> None:
        plain = re.sub(r"[^\w.+-]+", "-", origin.replace("!", "-")).strip("-.")[-120:] or "file"
        name, number = f"{folder}/{plain}", 1
        while any(member.name == name for member in self.members):
            number += 1
            name = f"{folder}/{plain}.{number}"
        self.members.append(Member(name, origin, text, left_out))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is packed and judged: logs by their paths, services by their names, files of configuration."""

    paths: Sequence[str]
    services: Sequence[Service]
    config: Sequence[Path]


def find(probe: Probe, paths: Sequence[str], services: Sequence[Service], namespace: str | None = None) -> Wanted:
    """What was named, and what the probe shows of engines: units, containers, pods, logs and files of configuration."""
    found = [*services, *_found_services(probe), *found_pods(namespace)]
    logs = map(str, _found_logs(probe))
    return Wanted(list(dict.fromkeys([*paths, *logs])), list(dict.fromkeys(found)), list(_found_config(probe)))


def gather(wanted: Wanted, most: int, starts: re.Pattern[str] | None = None) -> Gathered:
    """The texts of it all.

    Args:
        most: bytes of each log, the last ones.
        starts: how a run begins: a log that is cut begins with a whole one.
    """
    from doctor.read.services import read_service

    gathered = Gathered()
    collection = Collection()
    for service in wanted.services:
        read_service(service, collection)
    if wanted.paths:
        with suppress(Exception):  # nothing could be opened: the problems say why
            collect(wanted.paths, found=collection)
    gathered.problems += collection.problems
    for source in collection.sources:
        try:
            text, left_out = _last_of(source, most, starts)
        except OSError as error:
            gathered.problems.append((source.path, f"cannot be read: {error.strerror or error}", ""))
            continue
        gathered.add("logs", source.path, text, left_out)
    for path in wanted.config:
        try:
            gathered.add("config", str(path), path.read_bytes()[:_CONFIG_BYTES].decode("utf-8", "replace"))
        except OSError as error:
            gathered.problems.append((str(path), f"cannot be read: {error.strerror or error}", "run it with sudo"))
    return gathered


def _last_of(source: Source, most: int, starts: re.Pattern[str] | None) -> tuple[str, int]:
    """The last bytes of a log, from the beginning of a run on where one begins there; else with the log's own head."""
    head, tail, size = b"", bytearray(), 0
    with source.open() as stream:
        while chunk := stream.read(MIB):
            head = head or bytes(chunk[:_HEAD_BYTES])
            size += len(chunk)
            tail += chunk
            if len(tail) > most + MIB:
                del tail[: len(tail) - most]
    if size <= most:
        return tail.decode("utf-8", "replace"), 0
    text = bytes(tail[-most:]).decode("utf-8", "replace").partition("\n")[2]
    run = starts.search(text) if starts is not None else None
    if run is not None:
        text = text[text.rfind("\n", 0, run.start()) + 1 :]
        return text, size - len(text.encode())
    begin = head.decode("utf-8", "replace").rpartition("\n")[0]
    left_out = size - len(text.encode()) - len(begin.encode())
    return f"{begin}\n[{left_out} bytes left out here]\n{text}", left_out


def _found_services(probe: Probe) -> Iterator[Service]:
    """Units and containers of engines that the probe knows."""
    from doctor.read.services import Service

    for unit in probe.records.get("service", []):
        yield Service("journal", f"{unit['name']}.service")
    for container in probe.records.get("container", []):
        yield Service("docker", container["name"])


def found_pods(namespace: str | None = None) -> list[Service]:
    """Pods of engines in a namespace of the cluster that kubectl is set to; their lives before a restart too.

    A cluster that does not answer at once, or not to this user, has none: the pods can be named by ``--kube``.
    """
    from doctor.probe.ask import find_tool, run
    from doctor.probe.engines import ENGINE_IMAGES
    from doctor.read.services import Service

    tool = find_tool("kubectl")
    if tool is None:
        return []
    words = [tool, "get", "pods", "--request-timeout=3s", "--output=json"]
    ran = run([*words, *([f"--namespace={namespace}"] if namespace else [])], 4.0)
    try:
        pods = json.loads(ran.output)["items"] if ran.exit == 0 else []
        found = []
        for pod in pods:
            name, place = pod["metadata"]["name"], pod["metadata"].get("namespace") or namespace
            images = " ".join(str(container.get("image")) for container in pod["spec"]["containers"])
            if not ENGINE_IMAGES.search(f"{images} {name}"):
                continue
            states = pod.get("status", {}).get("containerStatuses") or []
            found.append(Service("kube", name, place))
            if any(state.get("restartCount") for state in states):
                found.append(Service("kube", name, place, previous=True))
    except (ValueError, KeyError, TypeError, AttributeError, UsageProblem):
        return []
    return found[:_MOST_PODS]


def _found_logs(probe: Probe) -> Iterator[Path]:
    """Logs in their usual places, and the files that running engines write to."""
    from doctor.probe.engines import is_engine

    found: dict[Path, None] = dict.fromkeys(_globbed(_USUAL_LOGS))
    for task in probe.records.get("task", []):
        if not is_engine(str(task.get("command", "")).split() or [""]):
            continue
        for number in (1, 2):
            with suppress(OSError):
                path = Path(f"/proc/{task['pid']}/fd/{number}").readlink()
                if path.is_file():
                    found[path] = None
    return iter(found)


def _found_config(probe: Probe) -> Iterator[Path]:
    """Unit files with their drop-ins and environment files, and what lies in usual places."""
    answer, containers = probe.answer("services"), probe.answer("containers")
    named: list[str] = []
    if containers is not None:  # where docker compose keeps the files that a container was made from
        for files in re.findall(
            r'"com\.docker\.compose\.project\.config_files": "([^"\n]{1,4096})"', containers.output
        ):
            named += [file for file in files.split(",") if file.startswith("/")]
    for line in answer.output.splitlines() if answer else []:
        if line.startswith(("FragmentPath=", "DropInPaths=", "EnvironmentFiles=")):
            named += re.findall(r"/[^\s=()]+", line.partition("=")[2])
    yield from dict.fromkeys(path for path in [*map(Path, named), *_globbed(_USUAL_CONFIG)] if is_there(path))


def _globbed(patterns: Iterable[str]) -> Iterator[Path]:
    for pattern in patterns:
        with suppress(OSError):
            yield from sorted(Path("/").glob(str(Path(pattern).expanduser()).lstrip("/")))
