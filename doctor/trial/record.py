"""What an engine writes, kept in a file of bounded size: its beginning and its end. Standard library only."""

from __future__ import annotations

import contextlib
import os
import threading

_LONGEST_HELD = 1 << 16
_COPY = 1 << 20


class Record:
    """A file that grows to a quarter of the limit; what follows goes round in two others, of which the last stay.

    Attributes:
        written: bytes that were given. left_out: bytes that are not in the file, once it is finished.
        trouble: why not all could be kept; empty if it could.
    """

    def __init__(self, path: str, rest: str, limit: int) -> None:
        """Opens ``path`` anew; ``rest`` and ``rest.old`` are made when they are needed.

        Raises:
            OSError: it can't be written.
        """
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._rest, self._old = rest, f"{rest}.old"
        self._head, self._each = limit // 4, limit * 3 // 8
        self._tail: int | None = None
        self._in_tail = self._kept = 0
        self._lock = threading.Lock()
        self._held: dict[int, bytes] = {}
        self.joined = False
        self.written = self.left_out = 0
        self.trouble = ""

    def add(self, data: bytes, stream: int = 1) -> None:
        """Adds what came from a stream. Of several streams whole lines are kept together."""
        with self._lock:
            self.written += len(data)
            if self.joined:
                data = self._held.pop(stream, b"") + data
                end = data.rfind(b"\n") + 1
                if end < len(data) < end + _LONGEST_HELD:
                    self._held[stream] = data[end:]
                    data = data[:end]
            if data:
                self._put(data)

    def finish(self) -> None:
        """Puts the end to the beginning, with a line between them that says how much is missing."""
        with self._lock:
            for data in self._held.values():
                self._put(data)
            self._held = {}
            if self._tail is not None:
                with contextlib.suppress(OSError):
                    os.close(self._tail)
                try:
                    self._append_rest()
                except OSError as error:
                    self.trouble = f"the end of the output could not be kept: {error.strerror}"
                self._tail = None
            self.left_out = self.written - self._kept
            os.close(self._file)

    def _put(self, data: bytes) -> None:
        if self.trouble:
            return
        try:
            room = self._head - self._kept
            if self._tail is None and room > 0:
                _write(self._file, data[:room])
                self._kept += len(data[:room])
                data = data[room:]
            while data:
                self._tail = self._open_rest() if self._tail is None else self._tail
                part = data[: self._each - self._in_tail]
                _write(self._tail, part)
                self._in_tail += len(part)
                data = data[len(part) :]
                if self._in_tail >= self._each:
                    os.close(self._tail)
                    self._tail = None
                    os.replace(self._rest, self._old)  # noqa: PTH105 - pathlib is not imported here
                    self._tail = self._open_rest()
        except OSError as error:  # a full disk must not end the engine
            self.trouble = f"output was not kept from byte {self.written} on: {error.strerror}"

    def _open_rest(self) -> int:
        self._in_tail = 0
        return os.open(self._rest, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)

    def _append_rest(self) -> None:
        parts = [path for path in (self._old, self._rest) if os.path.exists(path)]  # noqa: PTH110
        size = sum(os.path.getsize(path) for path in parts)  # noqa: PTH202
        missing = self.written - self._kept - size
        if missing > 0:
            _write(self._file, b"\n[llmdoctor: %d bytes of output were left out here]\n" % missing)
        for path in parts:
            with open(path, "rb") as source:  # noqa: PTH123
                while data := source.read(_COPY):
                    _write(self._file, data)
            os.unlink(path)  # noqa: PTH108
        self._kept += size


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
