"""Logs of services, read by calling the platform's own command: journalctl, docker, kubectl.

The command gets a list of arguments (no shell), no input, a deadline and a size limit; what it prints goes to a
nameless file and is read like any other log.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Literal

from doctor.errors import UsageProblem
from doctor.read.limits import GIB, LIMITS, Budget, Unreadable
from doctor.read.source import Collection, reason
from doctor.read.streams import Blob, roomy_folder
from doctor.read.times import Period
from doctor.read.unpack import Unpacker

DEADLINE_SECONDS = 120.0
MOST_BYTES = 2 * GIB
MOST_LINES = 500_000
_MESSAGE_BYTES = 4096
_NAME = "/output.log"  # what its kind is told by: not the service's name, which may end like a unit file's
_NAMES = {
    "journal": re.compile(r"[\w:.\\@][\w:.\\@-]{0,254}", re.ASCII),
    "docker": re.compile(r"[A-Za-z0-9][\w.-]{0,254}", re.ASCII),
    "kube": re.compile(r"(?:[a-z][a-z0-9.-]{0,100}/)?[a-z0-9][a-z0-9.-]{0,252}"),
}
_NAMESPACE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_HINTS = (  # what a tool says -> what to do
    (
        re.compile(r"permission|not seeing messages|insufficient|Forbidden|Unauthorized|not permitted", re.IGNORECASE),
        {
            "journal": "run it with sudo, or as a member of the group systemd-journal",
            "docker": "run it with sudo, or as a member of the group docker",
            "kube": "use an account that may read the logs of pods (kubectl auth can-i get pods/log)",
        },
    ),
    (
        re.compile(r"No such container|NotFound|not found", re.IGNORECASE),
        {
            "journal": "systemctl list-units --all shows the names",
            "docker": "docker ps -a shows the names",
            "kube": "kubectl get pods -A shows the names and namespaces",
        },
    ),
    (
        re.compile(r"cannot connect|refused|unreachable|no such host|i/o timeout", re.IGNORECASE),
        {
            "journal": "",
            "docker": "is the docker daemon running, and DOCKER_HOST right?",
            "kube": "is the cluster up, and KUBECONFIG right?",
        },
    ),
)


@dataclass(frozen=True, slots=True)
class Service:
    """A service as its platform knows it.

    Attributes:
        name: a unit, a container's name or id, or a pod (``llm-0``, ``deployment/llm``).
        namespace, previous: of a pod; the container's life before its last restart.

    Raises:
        UsageProblem: a name that no service can have.
    """

    platform: Literal["journal", "docker", "kube"]
    name: str
    namespace: str | None = None
    previous: bool = False

    def __post_init__(self) -> None:
        for name, form in ((self.name, _NAMES[self.platform]), (self.namespace, _NAMESPACE)):
            if name is not None and not form.fullmatch(name):
                raise UsageProblem("not a name that a service can have", subject=f"--{self.platform} {name!r}")

    @property
    def path(self) -> str:
        """What the diagnosis calls its log."""
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.platform}:{place}{self.name}" + (" (previous)" if self.previous else "")

    @property
    def tool(self) -> str:
        if self.platform == "docker" and shutil.which("docker") is None and shutil.which("podman"):
            return "podman"  # takes the same words
        return {"journal": "journalctl", "docker": "docker", "kube": "kubectl"}[self.platform]

    def command(self, until: datetime | None = None) -> list[str]:
        """The command that prints its log, with the times of the lines.

        There is no ``since``: what a service said when it was started is needed too.
        """
        if self.platform == "journal":
            words = [
                "journalctl",
                f"--unit={self.name}",
                "--output=json",
                "--all",
                "--no-pager",
                f"--lines={MOST_LINES}",
            ]
            return [*words, f"--until=@{int(until.timestamp()) + 1}"] if until else words
        if self.platform == "docker":
            words = [self.tool, "logs", "--timestamps", f"--tail={MOST_LINES}"]
            words += [f"--until={until.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"] if until else []
            return [*words, "--", self.name]
        words = [
            "kubectl",
            "logs",
            "--all-containers=true",
            "--prefix=true",
            "--timestamps=true",
            f"--tail={MOST_LINES}",
        ]
        words += [f"--namespace={self.namespace}"] if self.namespace else []
        words += ["--previous=true", "--ignore-errors=true"] if self.previous else []
        return [*words, "--", self.name]

    def question(self) -> list[str]:
        """The command that prints how it is deployed and how it ended; empty where the log says it, or another life."""
        if self.platform == "docker":
            return [self.tool, "inspect", "--type=container", "--", self.name]
        if self.platform == "kube" and not self.previous:
            words = ["kubectl", "get", self.name if "/" in self.name else f"pod/{self.name}", "--output=yaml"]
            return [*words, *([f"--namespace={self.namespace}"] if self.namespace else [])]
        return []


def read_service(service: Service, found: Collection, period: Period | None = None) -> None:
    """Adds a service's log to the collection; of a container or pod also its deployment, limits and end."""
    try:
        _add(service, service.command(period.until if period else None), service.path, found)
    except Exception as error:
        found.trouble(service.path, *reason(error))
        return
    if words := service.question():
        with suppress(Exception):  # the log is what was asked for
            _add(service, words, f"{service.path} ({words[1]})", found)


def _add(service: Service, words: Sequence[str], path: str, found: Collection) -> None:
    with tempfile.TemporaryFile(dir=roomy_folder()) as errors:
        output = tempfile.TemporaryFile(dir=roomy_folder())  # noqa: SIM115 - lives as long as its source
        # A container's stderr is part of its log; the others keep theirs for what goes wrong.
        merged = service.platform == "docker" and words[1] == "logs"
        status, trouble = _run(words, output, output if merged else errors)
        size = output.seek(0, os.SEEK_END)
        said = _tail(output if merged else errors)
    if status != 0 and (size == 0 or (merged and size <= _MESSAGE_BYTES)) and not trouble:
        raise Unreadable(f"{service.tool} says: {_last_line(said) or f'exit status {status}'}", _hint(service, said))
    if size == 0:
        raise Unreadable(
            trouble or f"{service.tool} has no lines of it", _hint(service, said) or _hint(service, "not found")
        )
    if trouble:
        found.trouble(path, trouble, "what came until then was read; save the log to a file and name that")
    elif status != 0:
        found.trouble(path, f"{service.tool} says: {_last_line(said)}", _hint(service, said))
    lock = threading.Lock()
    Unpacker(found, LIMITS, Budget(LIMITS, size)).add(Blob(lambda: output, size, lock=lock), path, name=_NAME)


def _run(words: Sequence[str], output: IO[bytes], errors: IO[bytes]) -> tuple[int | None, str]:
    """Exit status, and why the command was stopped, if it was.

    Raises:
        Unreadable: there is no such tool, or it can't be started.
    """
    tool = shutil.which(words[0])
    if tool is None:
        raise Unreadable(
            f"there is no {words[0]} here", "run this on the machine of the service, or save the log there and name it"
        )
    # Messages in English, and no pager, colours or prompts.
    surroundings = {**os.environ, "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": "", "NO_COLOR": "1"}
    try:
        process = subprocess.Popen(
            [tool, *words[1:]],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=surroundings,
            start_new_session=True,
        )
    except OSError as error:
        raise Unreadable(f"{words[0]} can't be started: {error.strerror}") from error
    end, pause = time.monotonic() + DEADLINE_SECONDS, 0.002
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(pause), ""
            pause = min(0.05, 2 * pause)
            if time.monotonic() > end:
                return None, f"{words[0]} was stopped after {DEADLINE_SECONDS:.0f} seconds"
            if os.fstat(output.fileno()).st_size > MOST_BYTES:
                return None, f"{words[0]} was stopped after {MOST_BYTES // GIB} GiB"
    finally:
        if process.poll() is None:
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """With all that it started."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _tail(file: IO[bytes]) -> str:
    file.seek(max(0, file.seek(0, os.SEEK_END) - _MESSAGE_BYTES))
    return file.read().decode("utf-8", "replace")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def _hint(service: Service, said: str) -> str:
    return next((hints[service.platform] for words, hints in _HINTS if words.search(said)), "")
