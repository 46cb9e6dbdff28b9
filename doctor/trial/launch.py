"""The words of a launch, and ``launch()``: an engine started under a supervisor of its own.

Everything above sees a ``Child`` and its ``Ending``, never a process. Figures are bytes and seconds.
"""

from __future__ import annotations

import json
import os
import select
import signal as signals
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from doctor.errors import UsageProblem

MIB = 1 << 20
KEPT_OUTPUT = 64 * MIB
Why = Literal["exited", "killed", "out_of_memory", "deadline", "stalled", "stopped", "lost"]
_ROOT = str(Path(__file__).parents[2])
_START_SECONDS = 30.0
_END_SECONDS = 20.0  # for the supervisor to be gone after it was told to; killing a tree takes it milliseconds


@dataclass(frozen=True, slots=True)
class Launch:
    """What to start.

    Attributes:
        words: the program and its arguments; the program is looked for on the PATH of ``environment``.
        environment: the whole environment; None: that of this process.
        folder: the working directory; None: the present one.
        output: the file for what it writes; None: one that is removed when the child is closed.
    """

    words: tuple[str, ...]
    environment: Mapping[str, str] | None = None
    folder: Path | None = None
    output: Path | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What it may use. None: no limit.

    Attributes:
        deadline: seconds until it is killed, whatever it does.
        stall: seconds without a sign of life (no output, hardly any CPU time, nothing read from a disk) until it is
            killed. A process that waits for requests shows none: give a stall clock only to one that has work.
        memory: bytes of a memory cgroup of its own, swap included. ``Ending.troubles`` says when there can be none.
        address_space: RLIMIT_AS, bytes. locked_memory: RLIMIT_MEMLOCK, bytes (does not bind root).
        output: bytes of output that are kept: its beginning and its end.
        no_core: no core files, which are as large as the engine's memory.
    """

    deadline: float | None = None
    stall: float | None = None
    memory: int | None = None
    address_space: int | None = None
    locked_memory: int | None = None
    output: int = KEPT_OUTPUT
    no_core: bool = True


@dataclass(frozen=True, slots=True)
class Usage:
    """What the whole tree of processes used.

    Attributes:
        anonymous: peak of anonymous memory, bytes: what has to be in RAM or swap.
        mapped: peak of resident file pages and shared memory, bytes: an mmapped model, given back under pressure.
        read: bytes read from disks. More than the model's file is the sign of thrashing.
        cpu: CPU seconds, user and system.
        processes: the most that there were at a time.
    """

    anonymous: int = 0
    mapped: int = 0
    read: int = 0
    cpu: float = 0.0
    processes: int = 0


@dataclass(frozen=True, slots=True)
class Cgroup:
    """What the kernel counted in the memory cgroup: the child's own, or that of llmdoctor in which it ran.

    Attributes:
        path: its folder. version: 1 or 2. own: made for this child.
        limit: bytes; None: none. peak: bytes, with page cache (of a cgroup that is not its own: of all its life).
        kills: processes that the kernel killed in it for memory, during this launch.
        refusals: how often its limit was hit, during this launch: without a kill, pages were given back (thrashing).
    """

    path: str
    version: int
    own: bool
    limit: int | None = None
    peak: int | None = None
    kills: int = 0
    refusals: int = 0


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended.

    Attributes:
        status: exit status; None if a signal ended it. signal: as ``SIGKILL``.
        why: ``exited`` (by itself, with any status), ``killed`` (by a signal that was not ours), ``out_of_memory`` (by
            the kernel, as its counters or its log prove), ``deadline``, ``stalled``, ``stopped`` (by us), ``lost`` (the
            supervisor was killed).
        seconds: wall time. usage, cgroup: what it used.
        kernel: lines of the kernel log of its time, as dmesg prints them, where they can be read.
        written: bytes of output; left_out: those that were not kept.
        waiting: where its threads waited in the kernel when it was found stalled, most frequent first.
        left_running: names of processes that it left running, which were then stopped.
        troubles: what could not be done or measured, in sentences.
    """

    status: int | None
    signal: str | None
    why: Why
    seconds: float = 0.0
    usage: Usage = field(default_factory=Usage)
    cgroup: Cgroup | None = None
    kernel: tuple[str, ...] = ()
    written: int = 0
    left_out: int = 0
    waiting: tuple[str, ...] = ()
    left_running: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()

    @property
    def code(self) -> int:
        """As a shell says it: the status, or 128 and the signal's number."""
        if self.signal is not None:
            return 128 + _number_of(self.signal)
        return self.status if self.status is not None else 1

    def to_dict(self) -> dict[str, Any]:
        """As JSON data."""
        return {"schema": "llmdoctor/ending/1", **asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Ending:
        """From JSON data; unknown keys are passed over.

        Raises:
            TypeError, ValueError: not an ending.
        """
        known = {item.name for item in fields(cls)}
        given = {name: value for name, value in data.items() if name in known}
        given["usage"] = Usage(**given.get("usage") or {})
        given["cgroup"] = Cgroup(**given["cgroup"]) if given.get("cgroup") else None
        for name in ("kernel", "waiting", "left_running", "troubles"):
            given[name] = tuple(given.get(name) or ())
        return cls(**given)


def _number_of(signal: str) -> int:
    try:
        return signals.Signals[signal].value
    except KeyError:
        return int(signal.removeprefix("SIG") or 0) if signal.removeprefix("SIG").isdecimal() else 0


class NotStarted(UsageProblem):
    """The program could not be started. ``status`` is what a shell would end with: 127 (not found) or 126."""

    def __init__(self, message: str, *, subject: str, hint: str | None, status: int) -> None:
        super().__init__(message, subject=subject, hint=hint)
        self.status = status


@dataclass(frozen=True, slots=True)
class Streams:
    """Descriptors that a launch is connected to, for ``llmdoctor run``. A trial has none: no input, output to the file.

    Attributes:
        stdin: what the engine reads; None: nothing.
        stdout, stderr: where its output is passed on to.
        terminal: both ends of a pseudo-terminal (ours, the engine's). ``on_terminal``: which of 0, 1, 2 it is for.
        restore: a terminal that we have set, and how it was (as ``tcgetattr`` says it, characters as numbers): put back
            when llmdoctor is gone without having done so.
        more: others that it inherits under their own numbers (a shell's ``<(...)``).
    """

    stdin: int | None = None
    stdout: int | None = None
    stderr: int | None = None
    terminal: tuple[int, int] | None = None
    on_terminal: tuple[int, ...] = ()
    restore: tuple[int, list[Any]] | None = None
    more: tuple[int, ...] = ()

    def descriptors(self) -> list[int]:
        found = [self.stdin, self.stdout, self.stderr, *(self.terminal or ()), *self.more]
        found += [self.restore[0]] if self.restore else []
        return [descriptor for descriptor in found if descriptor is not None]


def launch(wanted: Launch, limits: Limits | None = None, streams: Streams | None = None) -> Child:
    """Starts a program under a supervisor, and comes back when it runs.

    Raises:
        NotStarted: there is no such program, or it can't be executed.
        UsageProblem: the output file can't be written.
    """
    from doctor.trial.stale import clean, lock_folder

    if not hasattr(os, "fork"):
        raise UsageProblem("programs are started on Linux and macOS only", hint="save the log and analyze that")
    if not wanted.words:
        raise UsageProblem("no command to start", hint="for example: llama-server -m model.gguf")
    folder = lock_folder()
    clean(folder)
    ours, theirs = socket.socketpair()
    streams = streams or Streams()
    process = _start_supervisor(theirs, streams)
    theirs.close()
    child = Child(process, ours)
    try:
        child.begin(_request(wanted, limits or Limits(), streams, folder))
    except BaseException:
        child.close()
        raise
    return child


def _start_supervisor(control: socket.socket, streams: Streams) -> subprocess.Popen[bytes]:
    environment = {key: value for key, value in os.environ.items() if key in {"PATH", "LANG", "LC_ALL", "TMPDIR"}}
    environment |= {"PYTHONPATH": _ROOT, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"}
    return subprocess.Popen(
        [sys.executable, "-S", "-P", "-m", "doctor.trial.supervisor", str(control.fileno())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=None if os.environ.get("LLMDOCTOR_DEBUG") else subprocess.DEVNULL,
        pass_fds=[control.fileno(), *streams.descriptors()],
        env=environment,
        start_new_session=True,
    )


def _request(wanted: Launch, limits: Limits, streams: Streams, folder: Path) -> dict[str, Any]:
    environment = os.environ if wanted.environment is None else wanted.environment
    return {
        "words": [os.fsencode(word).hex() for word in wanted.words],
        "environment": {os.fsencode(key).hex(): os.fsencode(value).hex() for key, value in environment.items()},
        "folder": str(Path(wanted.folder or Path.cwd()).absolute()),
        "output": str(wanted.output.absolute()) if wanted.output else None,
        "limits": asdict(limits),
        "streams": asdict(streams),
        "locks": str(folder),
    }


class Child:
    """A program that was launched. A context manager: its end leaves no process, cgroup or file of it behind.

    May be asked from several threads.

    Attributes:
        pid: of the program that was named.
        output: the file that its output goes to: standard output and error, in the order in which they were written. It
            grows to a quarter of ``Limits.output``; what comes later is added when the program has ended.
    """

    pid: int
    output: Path

    def __init__(self, supervisor: subprocess.Popen[bytes], control: socket.socket) -> None:
        self._supervisor = supervisor
        self._control = control
        self._lock = threading.Lock()
        self._buffer = b""
        self._ending: Ending | None = None
        self._began = time.monotonic()

    def begin(self, request: dict[str, Any]) -> None:
        """Sends the request and waits until the program runs.

        Raises:
            NotStarted, UsageProblem: as ``launch``.
        """
        self._tell(request)
        message = self._hear(_START_SECONDS)
        if message is None or "failed" in message:
            failed = (message or {}).get("failed") or {"message": "the supervisor did not start", "status": 126}
            raise NotStarted(
                failed["message"],
                subject=failed.get("subject") or "",
                hint=failed.get("hint"),
                status=failed.get("status", 126),
            )
        self.pid = int(message["pid"])
        self.output = Path(message["output"])

    def fileno(self) -> int:
        """Readable when ``ending(0)`` may have news: for a caller's own ``select``."""
        return self._control.fileno()

    def ending(self, timeout: float | None = None) -> Ending | None:
        """How it ended; None if it has not, after so many seconds (None: however long it takes)."""
        with self._lock:
            if self._ending is None:
                message = self._hear(timeout)
                if message is not None and "ending" in message:
                    self._ending = Ending.from_dict(message["ending"])
                elif self._supervisor.poll() is not None:
                    seconds = time.monotonic() - self._began
                    troubles = ("the supervisor was killed: how the program ended is not known",)
                    self._ending = Ending(None, None, "lost", seconds, troubles=troubles)
            return self._ending

    def signal(self, number: int, *, group: bool = False) -> None:
        """Sends a signal to the program, or to it and those that it shares a process group with."""
        self._tell({"signal": int(number), "group": group})

    def pause(self) -> None:
        """Stops the clocks and all its processes until ``resume``."""
        self._tell({"pause": True})

    def resume(self) -> None:
        self._tell({"pause": False})

    def stop(self, grace: float = 5.0, number: int = signals.SIGTERM) -> Ending:
        """Ends it: a signal, and after ``grace`` seconds everything that still runs is killed."""
        self.ask_to_stop(grace, number)
        ending = self.ending(grace + _END_SECONDS)
        if ending is None:
            self._supervisor.kill()
            self._supervisor.wait()
            ending = self.ending(0)
        assert ending is not None  # noqa: S101 - the supervisor is gone, which is an ending
        return ending

    def ask_to_stop(self, grace: float = 5.0, number: int = signals.SIGTERM) -> None:
        """As ``stop``, without waiting for it."""
        self._tell({"stop": float(grace), "number": int(number)})

    def close(self) -> None:
        """Leaves nothing behind; a program that still runs is killed."""
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        try:
            self._supervisor.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()
        self._control.close()
        if self._supervisor.returncode != 0:
            from doctor.trial.stale import clean, lock_folder

            clean(lock_folder())

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _tell(self, message: dict[str, Any]) -> None:
        with suppress(OSError):  # it may have ended just now: its ending says so
            self._control.sendall(json.dumps(message).encode() + b"\n")

    def _hear(self, timeout: float | None) -> dict[str, Any] | None:
        """The supervisor's next message; None: none in time, or it is gone."""
        end = None if timeout is None else time.monotonic() + timeout
        while b"\n" not in self._buffer:
            left = None if end is None else max(0.0, end - time.monotonic())
            if not select.select([self._control], [], [], left)[0]:
                return None
            try:
                data = self._control.recv(1 << 16)
            except OSError:
                data = b""
            if not data:
                with suppress(subprocess.TimeoutExpired):
                    self._supervisor.wait(_END_SECONDS)
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message
