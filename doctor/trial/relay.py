"""Passes what an engine writes on, byte for byte, and keeps a record of it. Standard library only."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import Any

from doctor.trial.record import Record

PIPE_BYTES = 1 << 20
_READ_BYTES = 1 << 16  # Python makes room for all of it each time: above 128 KiB that is a mapping of its own
_F_SETPIPE_SZ = 1031
_BURST, _A_SECOND = 200, 100
_SMALL_BYTES = 2048


class Pace:
    """Small pieces that come without end are gathered for some milliseconds; bursts pass at once.

    A debug log of two dozen lines a token comes in as many pieces. Each wakes us, which costs more than what is in it,
    and takes that from the engine where there are no more cores than threads.
    """

    def __init__(self) -> None:
        self._left, self._at = float(_BURST), 0.0

    def pause(self, now: float, size: int) -> float:
        """Seconds to wait before the next piece is read, after one of ``size`` bytes came at ``now``."""
        if size >= _SMALL_BYTES:
            return 0.0
        self._left = min(_BURST, self._left + (now - self._at) * _A_SECOND) - 1
        self._at = now
        return max(0.0, -self._left / _A_SECOND)


class Relay(threading.Thread):
    """From one descriptor to the record and, if there is one, to another descriptor. A thread: either end may block.

    Attributes:
        passing: it waits for the other side to take something.
    """

    def __init__(self, source: int, target: int | None, record: Record, stream: int) -> None:
        super().__init__(daemon=True)
        self._source, self._target, self._record, self._stream = source, target, record, stream
        self.passing = False
        self._pace = Pace()

    def run(self) -> None:
        """Until there is nothing more to read, or nobody takes it: the engine learns that as it would without us."""
        try:
            while data := self._read():
                self._record.add(data, self._stream)
                if self._target is not None and not self._pass_on(data):
                    break
                if pause := self._pace.pause(time.monotonic(), len(data)):
                    time.sleep(pause)
        finally:
            with contextlib.suppress(OSError):
                os.close(self._source)

    def _read(self) -> bytes:
        try:
            return os.read(self._source, _READ_BYTES)
        except OSError:  # EIO: the last process on the terminal has gone
            return b""

    def _pass_on(self, data: bytes) -> bool:
        assert self._target is not None  # noqa: S101
        view = memoryview(data)
        self.passing = True
        try:
            while view:
                view = view[os.write(self._target, view) :]
        except BlockingIOError:  # somebody else made it non-blocking
            import select

            select.select([], [self._target], [])
            return self._pass_on(bytes(view))
        except OSError:
            return False
        finally:
            self.passing = False
        return True


def pipe() -> tuple[int, int]:
    """A pipe with room for what an engine writes at once."""
    ends = os.pipe()
    with contextlib.suppress(OSError, ImportError):
        import fcntl

        fcntl.fcntl(ends[1], _F_SETPIPE_SZ, PIPE_BYTES)
    return ends


class Wiring:
    """Which descriptors the engine gets, and which way its output goes.

    Attributes:
        places: its descriptors 0, 1 and 2. controlling: the terminal that controls it, if it has one.
        plan: what is read, where it is passed on to, and which stream it is.
    """

    def __init__(self, streams: dict[str, Any]) -> None:
        """From ``launch.Streams`` as a dict. Output that goes to one place comes by one pipe: its order is exact."""
        terminal, on = streams["terminal"], list(streams["on_terminal"])
        self._restore = streams["restore"]
        given = [streams[name] for name in ("stdin", "stdout", "stderr")] + (self._restore or [])[:1]
        for descriptor in {*given, *(terminal or ())} - {None}:
            os.set_inheritable(descriptor, False)  # the engine gets copies of those that are for it
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._opened = [null, *streams["more"]]
        self.plan: list[tuple[int, int | None, int]] = []
        self.controlling: int | None = terminal[1] if 0 in on else None
        if terminal:
            self._opened.append(terminal[1])
            self.plan.append((terminal[0], streams["stdout"] if 1 in on else streams["stderr"], 1))
        targets = {1: streams["stdout"], 2: streams["stderr"]}
        ends: dict[int, int] = dict.fromkeys(on, terminal[1]) if terminal else {}
        for number, target in targets.items():
            if number in on:
                continue
            if number == 2 and 1 not in on and target == targets[1]:
                ends[2] = ends[1]
                continue
            reading, ends[number] = pipe()
            self._opened.append(ends[number])
            self.plan.append((reading, target, number))
        self.places = (ends.get(0, null if streams["stdin"] is None else streams["stdin"]), ends[1], ends[2])

    def put_back(self) -> None:
        """The terminal of an llmdoctor that is gone, as it was. Job control does not ask another session."""
        if self._restore is not None:
            import termios

            descriptor, (*modes, characters) = self._restore
            with contextlib.suppress(termios.error, OSError):
                termios.tcsetattr(descriptor, termios.TCSADRAIN, [*modes, [bytes([key]) for key in characters]])

    def connect(self, record: Record) -> list[Relay]:
        """Once the engine has its ends: lets go of them, and begins to pass on."""
        for descriptor in self._opened:
            os.close(descriptor)
        relays = [Relay(source, target, record, stream) for source, target, stream in self.plan]
        for relay in relays:
            relay.start()
        return relays
