"""Bytes on their way: chunks made into a stream, pieces of files, and a place for what can be read only once."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from doctor.read.limits import GIB, MIB, Limits, Unreadable

Chunks = Iterator[bytes]
CHUNK_BYTES = 256 * 1024
_IN_MEMORY_BYTES = 8 * MIB
_SPARE_DISK_BYTES = GIB


class ChunkStream(io.RawIOBase):
    """Chunks as a stream. When they fail, the stream ends there and ``failed`` is told why."""

    def __init__(self, chunks: Chunks, failed: Callable[[Exception], None]) -> None:
        super().__init__()
        self._chunks = chunks
        self._failed = failed
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            try:
                chunk = next(self._chunks, None)
            except Exception as error:  # a damaged archive, a disk, a codec: what came before it counts
                self._failed(error)
                chunk = None
            if chunk is None:
                self._chunks = iter(())
                return 0
            self._rest = memoryview(chunk)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def close(self) -> None:
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()
        super().close()


def chunks_of(stream: BinaryIO, size: int = CHUNK_BYTES) -> Chunks:
    """What a stream holds, which is closed at the end."""
    with stream:
        while data := stream.read(size):
            yield data


class Window(io.RawIOBase):
    """A piece of a file, with a position of its own: several may be open on one file."""

    def __init__(self, file: IO[bytes], offset: int, size: int, lock: threading.Lock | None = None) -> None:
        super().__init__()
        self._file = file
        self._offset = offset
        self._size = size
        self._lock = lock
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        wanted = min(len(buffer), max(0, self._size - self._position))
        if not wanted:
            return 0
        with self._lock or threading.Lock():
            self._file.seek(self._offset + self._position)
            data = self._file.read(wanted)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        if self._lock is None:  # else the file is shared
            self._file.close()
        super().close()


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes that can be read from any place: a file, or a piece of one. ``opener`` opens the whole file.

    Attributes:
        lock: where all readers share one open file.
    """

    opener: Callable[[], IO[bytes]]
    size: int
    offset: int = 0
    whole: bool = False
    lock: threading.Lock | None = None

    @classmethod
    def of_file(cls, path: Path, size: int) -> Blob:
        return cls(lambda: path.open("rb"), size, whole=True)

    def open(self) -> BinaryIO:
        file = self.opener()
        if self.whole:
            return cast(BinaryIO, file)
        return cast(BinaryIO, io.BufferedReader(Window(file, self.offset, self.size, self.lock), CHUNK_BYTES))

    def piece(self, offset: int, size: int) -> Blob:
        return Blob(self.opener, size, self.offset + offset, lock=self.lock)

    def chunks(self) -> Chunks:
        return chunks_of(self.open())


class Spool:
    """Keeps what comes only once: in memory while it is little, else in a temporary file without a name."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._folder = roomy_folder()
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None
        self._size = 0
        self._checked = 0

    def add(self, chunks: Chunks) -> tuple[Blob, Exception | None]:
        """Keeps all chunks; what they failed with, if they did: what came before is kept."""
        if self._file is None:
            import tempfile

            self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES, dir=self._folder)  # noqa: SIM115
        start, failed = self._size, None
        try:
            for chunk in chunks:
                self._check_room(len(chunk))
                with self._lock:
                    self._file.seek(self._size)
                    self._file.write(chunk)
                self._size += len(chunk)
        except Exception as error:
            failed = error
        file = self._file
        return Blob(lambda: file, self._size - start, start, lock=self._lock), failed

    def _check_room(self, size: int) -> None:
        hint = "unpack it yourself and name the file, or set TMPDIR to a folder with more room"
        if self._size + size > self._limits.spool_bytes:
            raise Unreadable(f"needs more than {self._limits.spool_bytes // MIB} MiB of temporary room", hint)
        if self._size + size < self._checked:
            return
        self._checked = self._size + size + 64 * MIB
        import shutil
        import tempfile

        with suppress(OSError):
            folder = self._folder or tempfile.gettempdir()
            if self._size > _IN_MEMORY_BYTES and shutil.disk_usage(folder).free < _SPARE_DISK_BYTES:
                raise Unreadable(f"no room left in {folder} to unpack it", hint)


def roomy_folder() -> str | None:
    """A folder on a disk: /tmp is often kept in memory."""
    if any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")):
        return None
    return "/var/tmp" if os.access("/var/tmp", os.W_OK) else None  # noqa: S108 - nameless file, as tempfile makes it
