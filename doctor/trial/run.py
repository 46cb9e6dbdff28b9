"""``llmdoctor run``: an engine under the supervisor, connected to our own input and output, until it has ended."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from doctor.trial.launch import Child, Ending, Launch, Limits, Streams, launch
from doctor.trial.terminal import Terminal

if TYPE_CHECKING:
    from concurrent.futures import Future

_STOP_GRACE = 10.0
_LOOK_AGAIN = 0.05
# Sent by a person at a terminal to all that runs there; others are for the program that was named.
_FOR_ALL = {"SIGINT", "SIGQUIT", "SIGHUP"}
_FOR_ONE = {"SIGTERM", "SIGUSR1", "SIGUSR2"}
_STOPPING = {"SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"}


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of it.

    Attributes:
        not_ready: seconds after which it was stopped because it did not serve; None: it was not.
        stopped_by: the signal to us that asked it to end, if one did.
    """

    ending: Ending
    not_ready: float | None = None
    stopped_by: str | None = None


@contextlib.contextmanager
def running(
    words: tuple[str, ...], output: Path | None = None, ready_timeout: float | None = None
) -> Iterator[Passing]:
    """Starts a command in our place. What it leaves is there until the context ends.

    Raises:
        NotStarted: there is no such program.
    """
    _open_closed()
    terminal = Terminal.needed()
    opened: list[int] = []
    with _signals() as told:
        try:
            if terminal is not None:
                terminal.attach()  # before the engine runs: keys that are typed to it must not be taken as ours
            streams = _streams(terminal, opened)
            child = launch(Launch(words, output=output), Limits(no_core=False), streams)
        except BaseException:
            if terminal is not None:
                terminal.close()
            raise
        finally:
            for descriptor in opened:
                os.close(descriptor)
        try:
            with child:
                yield Passing(child, terminal, told, ready_timeout)
        finally:
            if terminal is not None:
                terminal.close()


class Passing:
    """A command that runs in our place."""

    def __init__(self, child: Child, terminal: Terminal | None, told: int, ready_timeout: float | None) -> None:
        self.child = child
        self._terminal, self._told = terminal, told
        self._ready_at = None if ready_timeout is None else time.monotonic() + ready_timeout
        self._ready_timeout = ready_timeout
        self._asked: Future[bool] | None = None
        self._not_ready: float | None = None
        self._stopped_by: str | None = None

    def until_ended(self) -> Seen:
        """Passes signals and keys on until it has ended."""
        try:
            while (ending := self.child.ending(0)) is None:
                self._wait()
                self._look_whether_ready()
        finally:
            if self._terminal is not None:
                self._terminal.release()
        return Seen(ending, self._not_ready, self._stopped_by)

    def _wait(self) -> None:
        terminal = self._terminal
        seconds = None if self._ready_at is None else max(0.0, self._ready_at - time.monotonic())
        reads: list[int] = [self.child.fileno(), self._told, *(terminal.reads() if terminal else [])]
        ready, takes, _ = select.select(reads, terminal.writes() if terminal else [], [], seconds)
        if self._told in ready:
            for number in os.read(self._told, 4096):
                self._pass_on(number)
        if terminal is not None and 0 in ready and terminal.read():
            self._suspend()
        if terminal is not None and takes:
            terminal.write()

    def _pass_on(self, number: int) -> None:
        name = signal.Signals(number).name
        if name in _STOPPING:
            self._stopped_by = name
        if name in _FOR_ALL | _FOR_ONE:
            self.child.signal(number, group=name in _FOR_ALL)
        elif name == "SIGWINCH" and self._terminal is not None:
            self._terminal.resize()
        elif name == "SIGTSTP":
            self._suspend()
        elif name == "SIGCONT" and self._terminal is not None:
            self._terminal.attach()  # brought to the foreground

    def _suspend(self) -> None:
        """Stops the engine and us, as Ctrl-Z would stop the engine alone; goes on with the shell's ``fg``."""
        self.child.pause()
        if self._terminal is not None:
            self._terminal.release()
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.killpg(0, signal.SIGTSTP)  # the whole job, as the terminal does
        signal.signal(signal.SIGTSTP, handler)
        if self._terminal is not None:
            self._terminal.attach()
        self.child.resume()

    def _look_whether_ready(self) -> None:
        """In a thread: the first look reads the rule book, and signals and keys must not wait for that."""
        if self._ready_at is None or time.monotonic() < self._ready_at:
            return
        if self._asked is None:
            from concurrent.futures import ThreadPoolExecutor

            from doctor.trial.case import is_ready

            self._asked = ThreadPoolExecutor(1).submit(is_ready, self.child.output, self.child.pid)
        if not self._asked.done():
            self._ready_at = time.monotonic() + _LOOK_AGAIN
            return
        self._ready_at = None
        if not self._asked.result():
            self._not_ready = self._ready_timeout
            self.child.ask_to_stop(_STOP_GRACE)


def _streams(terminal: Terminal | None, opened: list[int]) -> Streams:
    """Copies of our descriptors for the engine, or of their terminal. ``opened`` gets what is to be closed then."""
    on = terminal.on if terminal else ()
    opened += [terminal.slave] if terminal else []

    def copy(descriptor: int) -> int | None:
        try:
            made = os.dup(descriptor)
        except OSError:  # closed
            return None
        opened.append(made)
        return made

    stdin = None if 0 in on else copy(0)
    stdout = copy(1)
    stderr = stdout if _same(1, 2) else copy(2)
    before = terminal.before() if terminal else None
    keyboard = copy(0) if before is not None else None
    restore = (keyboard, before) if keyboard is not None and before is not None else None
    ends = (terminal.master, terminal.slave) if terminal else None
    return Streams(stdin, stdout, stderr, ends, on, restore, _inherited())


def _open_closed() -> None:
    """Where we were started without 0, 1 or 2, the null device: else a file of ours would be taken for it."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free


def _inherited() -> tuple[int, ...]:
    """What else whoever started us meant the engine to have: Python's own files are never inherited."""
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names of descriptors, no paths
            with contextlib.suppress(OSError):
                if int(name) > 2 and os.get_inheritable(int(name)):
                    found.append(int(name))
    return tuple(found)


def _same(first: int, second: int) -> bool:
    """Whether two descriptors lead to one place: then the order of what is written to them is kept."""
    try:
        one, other = os.fstat(first), os.fstat(second)
        if (one.st_dev, one.st_ino) != (other.st_dev, other.st_ino):
            return False
        return not stat.S_ISREG(one.st_mode) or os.lseek(first, 0, os.SEEK_CUR) == os.lseek(second, 0, os.SEEK_CUR)
    except OSError:
        return False


@contextlib.contextmanager
def _signals() -> Iterator[int]:
    """A descriptor that gives the numbers of signals to us, as bytes. Those that are ignored stay so (``nohup``)."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = {}
    for name in _FOR_ALL | _FOR_ONE | {"SIGWINCH", "SIGTSTP", "SIGCONT"}:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, lambda *_: None)
    woken = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)
