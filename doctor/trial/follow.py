"""Logs that are still written: files, through rotation, and the platform's own commands that follow a service."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from doctor.errors import UsageProblem

if TYPE_CHECKING:
    from doctor.read.services import Service

READ_BYTES = 1 << 20
BACKLOG_BYTES = 4 << 20
_BACKLOG_LINES = 5000
_AGAIN_SECONDS = 2.0
_SAID_BYTES = 4096


class Followed(Protocol):
    """Something that is followed. ``path``: its name."""

    path: str

    def read(self) -> bytes:
        """What is new, at most a MiB; empty when nothing is."""

    def note(self) -> str:
        """What happened to it since last asked, in a sentence; mostly empty."""

    def close(self) -> None: ...


class File:
    """A file by its name: renamed and made anew, cut to nothing, or gone for a while, it goes on.

    What was written to a renamed file until the new one was there is still read; of one that is copied and then cut
    (``copytruncate``) what was written between the two is lost, as it is to every reader.
    """

    def __init__(self, path: str) -> None:
        """Begins with the last 4 MiB of what is there.

        Raises:
            UsageProblem: it cannot be read.
        """
        self.path = path
        self._notes: list[str] = []
        try:
            self._file: int | None = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            if Path(path).is_dir():
                raise UsageProblem("is a folder", subject=path, hint="name the log file in it")
        except OSError as error:
            hint = "check the path" if isinstance(error, FileNotFoundError) else "run as a user who may read it"
            raise UsageProblem(f"cannot be read: {error.strerror}", subject=path, hint=hint) from None
        self._position = max(0, os.fstat(self._file).st_size - BACKLOG_BYTES)
        if self._position:
            self._position += len(os.pread(self._file, READ_BYTES, self._position).partition(b"\n")[0]) + 1

    def read(self) -> bytes:
        if self._file is not None:
            if os.fstat(self._file).st_size < self._position:
                self._position = 0
                self._notes.append("was cut to nothing and is written anew")
            data = os.pread(self._file, READ_BYTES, self._position)
            self._position += len(data)
            if data:
                return data
        self._look_for_another()
        return b""

    def note(self) -> str:
        return self._notes.pop(0) if self._notes else ""

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _look_for_another(self) -> None:
        """Only once the old one is read to its end."""
        with contextlib.suppress(OSError):
            there = os.stat(self.path)  # noqa: PTH116 - twice a second
            if self._file is not None:
                here = os.fstat(self._file)
                if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
                    return
            opened = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            self.close()
            self._file, self._position = opened, 0
            self._notes.append("was rotated: its new file is read from the start")


class Command:
    """What journalctl or docker prints of a service as it goes on; asked again when it ends (a stopped container)."""

    def __init__(self, service: Service) -> None:
        """Raises: UsageProblem: there is no such tool here."""
        self.path = service.path
        self._words = _words(service)
        self._tool = shutil.which(self._words[0])
        if self._tool is None:
            raise UsageProblem(
                f"there is no {self._words[0]} here",
                subject=f"--{service.platform} {service.name}",
                hint="watch its log file, or run this on the machine of the service",
            )
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._came = False
        self._said = b""
        self._notes: list[str] = []
        self._start()

    def read(self) -> bytes:
        if self._process is None:
            if time.monotonic() - self._started_at >= _AGAIN_SECONDS:
                self._start()
            return b""
        assert self._process.stdout is not None  # noqa: S101
        try:
            data = os.read(self._process.stdout.fileno(), READ_BYTES)
        except BlockingIOError:
            return b""
        if not data:
            self._ended()
        elif not self._came:
            self._said = (self._said + data)[:_SAID_BYTES]
        self._came = self._came or len(self._said) >= _SAID_BYTES or time.monotonic() - self._started_at > 1
        return data

    def note(self) -> str:
        return self._notes.pop(0) if self._notes else ""

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None  # noqa: S101
            self._process.stdout.close()
            self._process = None

    def _start(self) -> None:
        assert self._tool is not None  # noqa: S101
        words = self._words
        if self._started_at and words[0] == "docker":  # only what has not been seen yet
            words = [*words[:-2], f"--since={int(time.time() - (time.monotonic() - self._started_at))}", *words[-2:]]
        self._process = subprocess.Popen(
            [self._tool, *words[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": "", "NO_COLOR": "1"},
            start_new_session=True,
        )
        assert self._process.stdout is not None  # noqa: S101
        os.set_blocking(self._process.stdout.fileno(), False)
        self._started_at = time.monotonic()

    def _ended(self) -> None:
        """
        Raises:
            UsageProblem: it never began: no such container, no right to read it.
        """
        assert self._process is not None  # noqa: S101
        status = self._process.wait()
        self.close()
        if not self._came and status != 0:
            lines = self._said.decode("utf-8", "replace").strip().splitlines()
            said = lines[-1][:300] if lines else f"exit status {status}"
            raise UsageProblem(f"{self._words[0]} says: {said}", subject=self.path)
        self._notes.append(f"{self._words[0]} has no more of it: asked again every {_AGAIN_SECONDS:g} s")


def _words(service: Service) -> list[str]:
    if service.platform == "journal":
        return [
            "journalctl",
            f"--unit={service.name}",
            "--follow",
            "--output=short-iso",
            "--all",
            "--no-pager",
            f"--lines={_BACKLOG_LINES}",
        ]
    return ["docker", "logs", "--follow", "--timestamps", f"--tail={_BACKLOG_LINES}", "--", service.name]
