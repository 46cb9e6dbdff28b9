"""Questions to a machine: a command, files, or a function; each gives an ``Answer`` and keeps to its deadline.

A command gets a list of arguments (no shell), no input, no terminal, a size limit, and is ended with everything that it
started. A tool that hangs in the kernel can't be ended by anyone: it is left behind, and reported as timed out.
"""

from __future__ import annotations

import os
import re
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from doctor.probe.document import Answer, Status

MOST_BYTES = 512 * 1024  # of one answer that is kept
_MOST_READ = 4 * 1024 * 1024  # of one stream, before what is not wanted is dropped
_REFUSED = re.compile(
    r"permission denied|operation not permitted|not permitted|insufficient permission|access denied"
    r"|must be (?:run as )?root|requires? root|permissionerror|EACCES|not seeing messages from other users",
    re.IGNORECASE,
)
_NO_SERVER = re.compile(
    r"cannot connect|could not connect|connection refused|is the .{0,20}daemon running"
    r"|not been booted with systemd|failed to connect to bus: (?:no such|host is down)",
    re.IGNORECASE,
)
# No tool that is asked for its version shall touch a GPU.
NO_GPU = {
    "CUDA_VISIBLE_DEVICES": "",
    "HIP_VISIBLE_DEVICES": "-1",
    "ROCR_VISIBLE_DEVICES": "",
    "GGML_VK_VISIBLE_DEVICES": "",
    "ONEAPI_DEVICE_SELECTOR": "*:cpu",
    "ASCEND_RT_VISIBLE_DEVICES": "",
}


class Ask(Protocol):
    """A question. ``get`` answers within ``seconds``, as far as that is in its hands, and never raises ``OSError``."""

    @property
    def name(self) -> str: ...

    @property
    def asked(self) -> str: ...

    def get(self, seconds: float) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Command:
    """A tool and its arguments.

    Attributes:
        places: folders to look in when it is not on PATH (``/opt/rocm/bin``).
        keep_end: of a long output, the end counts (a log).
        env: changes to the environment.
        wanted: only lines that match are kept, for outputs that are long and mostly about other things.
        wanted_lines: at most so many of them, the last ones.
        unwanted: lines that match are left out.
    """

    name: str
    words: Sequence[str]
    places: Sequence[str] = ()
    keep_end: bool = False
    env: dict[str, str] = field(default_factory=dict)
    wanted: re.Pattern[str] | None = None
    wanted_lines: int = 400
    unwanted: re.Pattern[str] | None = None

    @property
    def asked(self) -> str:
        return " ".join(self.words)

    def get(self, seconds: float) -> Answer:
        tool = find_tool(self.words[0], self.places)
        if tool is None:
            return _missing(self.name, self.asked, self.words[0])
        ran = run([tool, *self.words[1:]], seconds, env=self.env, keep_end=self.keep_end)
        answer = ran.answer(self.name, self.asked)
        if self.wanted is not None and answer.output:
            chosen = [line for line in answer.output.splitlines() if self.wanted.search(line)]
            answer.cut = answer.cut or len(chosen) > self.wanted_lines
            answer.output = "".join(f"{line}\n" for line in chosen[-self.wanted_lines :])
        if self.unwanted is not None:
            lines = answer.output.splitlines(keepends=True)
            answer.output = "".join(line for line in lines if not self.unwanted.search(line))
        if len(answer.output) > MOST_BYTES:
            answer.cut = True
            answer.output = answer.output[-MOST_BYTES:] if self.keep_end else answer.output[:MOST_BYTES]
        return answer


@dataclass(frozen=True, slots=True)
class Files:
    """Small files, by glob patterns in their order.

    Attributes:
        labelled: each line as ``PATH:LINE``, as ``grep -H ''`` prints it; else the content of the first that is there.
    """

    name: str
    patterns: Sequence[str]
    labelled: bool = True
    most_files: int = 2000

    @property
    def asked(self) -> str:
        return " ".join([*(["grep", "-H", "''"] if self.labelled else ["cat"]), *self.patterns])

    def get(self, seconds: float) -> Answer:
        end = time.monotonic() + seconds
        parts: list[str] = []
        refused: list[str] = []
        size, count = 0, 0
        answer = Answer(name=self.name, asked=self.asked, status=Status.OK)
        for path in self._paths():
            if time.monotonic() > end or count >= self.most_files or size > MOST_BYTES:
                answer.cut = True
                break
            try:
                text = read_file(path)
            except PermissionError:
                refused.append(str(path))
                continue
            except OSError:  # many files of /sys can't be read: a device without that property
                continue
            count += 1
            text = "".join(f"{path}:{line}\n" for line in text.splitlines()) if self.labelled else text
            parts.append(text)
            size += len(text)
            if not self.labelled:
                break
        answer.output = "".join(parts)
        if not parts:
            answer.status = Status.NOT_PERMITTED if refused else Status.ABSENT
            answer.reason = f"not permitted: {refused[0]}" if refused else "no such file"
        elif refused:
            answer.reason = f"not permitted: {', '.join(refused[:3])}"
        return answer

    def _paths(self) -> Iterator[Path]:
        for pattern in self.patterns:
            if "*" in pattern or "[" in pattern:
                with suppress(OSError):
                    yield from sorted(Path("/").glob(pattern.lstrip("/")))
            else:
                yield Path(pattern)


@dataclass(frozen=True, slots=True)
class Call:
    """A function that gives the text. ``FileNotFoundError`` means absent, ``PermissionError`` not permitted."""

    name: str
    asked: str
    function: Callable[[float], str]

    def get(self, seconds: float) -> Answer:
        answer = Answer(name=self.name, asked=self.asked, status=Status.OK)
        try:
            answer.output = self.function(seconds)
        except FileNotFoundError as error:
            answer.status, answer.reason = Status.ABSENT, _reason(error)
        except PermissionError as error:
            answer.status, answer.reason = Status.NOT_PERMITTED, _reason(error)
        except TimeoutError as error:
            answer.status, answer.reason = Status.TIMED_OUT, _reason(error)
        except OSError as error:
            answer.status, answer.reason = Status.FAILED, _reason(error)
        if len(answer.output) > MOST_BYTES:
            answer.output, answer.cut = answer.output[:MOST_BYTES], True
        return answer


@dataclass(frozen=True, slots=True)
class Either:
    """Ways to one answer, the best first: the next is tried where one is not there or has failed."""

    ways: Sequence[Ask]

    @property
    def name(self) -> str:
        return self.ways[-1].name

    @property
    def asked(self) -> str:
        return self.ways[-1].asked

    def get(self, seconds: float) -> Answer:
        end = time.monotonic() + seconds
        for way in self.ways[:-1]:
            answer = way.get(seconds)
            if answer.status in {Status.OK, Status.TIMED_OUT}:
                return answer
        return self.ways[-1].get(end - time.monotonic())


def _reason(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)


def _missing(name: str, asked: str, tool: str) -> Answer:
    hidden = []
    for folder in _path_folders():
        try:
            if (Path(folder) / tool).is_file():
                reason = f"{Path(folder) / tool} can't be executed"
                return Answer(name=name, asked=asked, status=Status.NOT_PERMITTED, reason=reason)
        except PermissionError:  # as for a shell, what can't be looked into is not there
            hidden.append(folder)
        except OSError:
            continue
    reason = f"no {tool} on PATH" + (f" ({', '.join(hidden[:3])} can't be looked into)" if hidden else "")
    return Answer(name=name, asked=asked, status=Status.ABSENT, reason=reason)


def is_there(path: Path | str) -> bool:
    """Whether a file or folder can be seen; one in a folder that can't be looked into can not."""
    with suppress(OSError):
        return Path(path).exists()
    return False


def _path_folders() -> list[str]:
    return [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]


def find_tool(name: str, places: Sequence[str] = ()) -> str | None:
    """Where a tool is: on PATH, else in one of the places."""
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(places) or os.devnull)


def read_file(path: Path | str, most: int = MOST_BYTES) -> str:
    """The text of a small file; at most ``most`` bytes. Files of /proc and /sys say no size.

    Raises:
        OSError: it can't be opened or read.
    """
    with Path(path).open("rb") as file:
        return file.read(most).decode("utf-8", "replace").replace("\0", " ").strip("\n")


@dataclass(slots=True)
class Ran:
    """How a command went. ``exit`` is None when it was stopped."""

    exit: int | None = None
    output: str = ""
    errors: str = ""
    seconds: float = 0.0
    cut: bool = False
    trouble: OSError | None = None

    def answer(self, name: str, asked: str) -> Answer:
        """Its status: what a tool says of missing rights or of a server that is not up counts more than its number."""
        said = self.output if self.output.strip() else self.errors
        answer = Answer(name=name, asked=asked, status=Status.OK, exit=self.exit, cut=self.cut, output=said)
        words = (self.errors.strip() or self.output.strip()).splitlines()
        if self.trouble is not None:
            denied = isinstance(self.trouble, PermissionError)
            answer.status = Status.NOT_PERMITTED if denied else Status.FAILED
            answer.reason = f"can't be started: {self.trouble.strerror or self.trouble}"
        elif self.exit is None:
            answer.status, answer.reason = Status.TIMED_OUT, f"stopped after {self.seconds:.1f} s"
        elif self.exit != 0:
            refused = _REFUSED.search(self.errors) or (not self.errors and _REFUSED.search(self.output[-2000:]))
            answer.status = Status.NOT_PERMITTED if refused else Status.FAILED
            if _NO_SERVER.search(self.errors) and not refused:
                answer.status = Status.ABSENT
            answer.reason = words[-1][:300] if words else f"exit status {self.exit}"
        return answer


def run(words: Sequence[str], seconds: float, *, env: dict[str, str] | None = None, keep_end: bool = False) -> Ran:
    """Runs a command to its end or its deadline. ``words[0]`` is a path."""
    surroundings = {**os.environ, "LC_ALL": "C.UTF-8", "NO_COLOR": "1", "SYSTEMD_PAGER": "", "PAGER": "", **(env or {})}
    start = time.monotonic()
    ran = Ran()
    try:
        process = subprocess.Popen(
            list(words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=surroundings,
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        ran.trouble = error
        return ran
    try:
        out, errors, ran.cut = _collect(process, start + seconds, keep_end)
        with suppress(subprocess.TimeoutExpired):
            ran.exit = process.wait(max(0.01, start + seconds - time.monotonic()))
    finally:
        _end(process)
    ran.output, ran.errors = (_text(part) for part in (out, errors))
    ran.seconds = time.monotonic() - start
    return ran


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\0", "")


def _collect(process: subprocess.Popen[bytes], end: float, keep_end: bool) -> tuple[bytes, bytes, bool]:
    """Both streams until they are closed, the process is gone and silent, or the time is up."""
    assert process.stdout is not None and process.stderr is not None  # noqa: S101 - for the type checker: both are pipes
    kept = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    cut = False
    with selectors.DefaultSelector() as selector:
        for fd in kept:
            os.set_blocking(fd, False)
            selector.register(fd, selectors.EVENT_READ)
        while selector.get_map():
            left = end - time.monotonic()
            if left <= 0:
                break
            ready = selector.select(min(left, 0.05))
            if not ready and process.poll() is not None:
                break  # a child of it may hold the pipe open
            for key, _ in ready:
                data = os.read(key.fd, 65536)
                if not data:
                    selector.unregister(key.fd)
                    continue
                part = kept[key.fd]
                part += data
                if len(part) > _MOST_READ:
                    cut = True
                    surplus = slice(0, len(part) - _MOST_READ) if keep_end else slice(_MOST_READ, None)
                    del part[surplus]
    out, errors = kept.values()
    return bytes(out), bytes(errors), cut


def _end(process: subprocess.Popen[bytes]) -> None:
    """With all that it started. One that hangs in the kernel is not waited for."""
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
