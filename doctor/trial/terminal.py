"""A terminal stays a terminal: the engine gets one of its own, set as ours is, and ours passes everything through.

Between the two nothing is interpreted twice. Where we are in the foreground our terminal is raw, and the engine's own
makes a signal of Ctrl-C and the like; where we are not (a background job, input from a pipe), the engine's leaves the
ends of lines alone, as ours will treat them.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys

_INPUT, _OUTPUT, _CONTROL, _LOCAL, _CHARACTERS = 0, 1, 2, 3, 6
_READ_BYTES = 4096
_WRITE_BYTES = 512  # a terminal that can take something takes so much


class Terminal:
    """The pair of terminals.

    Attributes:
        master, slave: our end and the engine's. on: which of the descriptors 0, 1 and 2 it stands for.
        raw: ours passes everything through: input is to be read by ``pump``.
    """

    def __init__(self, on: tuple[int, ...]) -> None:
        self.on = on
        self.master, self.slave = os.openpty()
        self._outer = on[-1]
        self._saved: list[object] | None = None
        self._waiting = b""
        self.raw = self._ended = False
        self._plain_output()
        self.resize()

    @classmethod
    def needed(cls) -> Terminal | None:
        """One for those of our descriptors that are terminals, where output goes to one."""
        on = tuple(descriptor for descriptor in (0, 1, 2) if _is_terminal(descriptor))
        return cls(on) if set(on) & {1, 2} and sys.platform != "win32" else None

    def attach(self) -> None:
        """Takes our terminal, if we are in the foreground."""
        import termios
        import tty

        if self.raw or 0 not in self.on or not _in_foreground():
            return
        self._saved = termios.tcgetattr(0)
        with contextlib.suppress(termios.error):
            termios.tcsetattr(self.master, termios.TCSANOW, self._saved)  # type: ignore[arg-type]
        tty.setraw(0, termios.TCSADRAIN)
        self.raw = True
        self.resize()

    def before(self) -> list[object] | None:
        """How our terminal was set, with characters as numbers; None: we have not changed it."""
        if self._saved is None:
            return None
        *modes, characters = self._saved
        assert isinstance(characters, list)  # noqa: S101
        return [*modes, [key if isinstance(key, int) else ord(key) for key in characters]]

    def release(self) -> None:
        """Gives our terminal back as it was."""
        import termios

        if self._saved is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(0, termios.TCSADRAIN, self._saved)  # type: ignore[arg-type]
        self._saved, self.raw = None, False

    def resize(self) -> None:
        """Makes the engine's as large as ours; the kernel tells the engine."""
        import fcntl
        import termios

        with contextlib.suppress(OSError):
            size = fcntl.ioctl(self._outer, termios.TIOCGWINSZ, bytes(8))
            fcntl.ioctl(self.master, termios.TIOCSWINSZ, size)

    def reads(self) -> list[int]:
        """What to wait for: input, unless what came before is not yet taken."""
        return [0] if self.raw and not self._waiting and not self._ended else []

    def writes(self) -> list[int]:
        return [self.master] if self._waiting else []

    def read(self) -> bool:
        """Takes input; whether it asks us to be suspended (Ctrl-Z, unless the engine reads every key itself)."""
        try:
            data = os.read(0, _READ_BYTES)
        except OSError:
            data = b""
        self._ended = not data
        suspend = self._suspends(data)
        self._waiting += data.replace(suspend, b"") if suspend else data
        return bool(suspend)

    def write(self) -> None:
        """Passes on what was read, as far as it is taken."""
        if self._waiting and select.select([], [self.master], [], 0)[1]:
            with contextlib.suppress(OSError):
                self._waiting = self._waiting[os.write(self.master, self._waiting[:_WRITE_BYTES]) :]

    def close(self) -> None:
        self.release()
        with contextlib.suppress(OSError):
            os.close(self.master)

    def _suspends(self, data: bytes) -> bytes:
        """The character that suspends, if it is in there and means that to the engine's terminal."""
        import termios

        try:
            state = termios.tcgetattr(self.master)
        except termios.error:
            return b""
        key: bytes = state[_CHARACTERS][termios.VSUSP]
        return key if state[_LOCAL] & termios.ISIG and key != b"\0" and key in data else b""

    def _plain_output(self) -> None:
        import termios

        state = termios.tcgetattr(self.slave)
        state[_OUTPUT] &= ~termios.OPOST
        termios.tcsetattr(self.slave, termios.TCSANOW, state)


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def _in_foreground() -> bool:
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False
