"""What there is to read: sources, and what was found beside them."""

from __future__ import annotations

import io
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, cast

from doctor.read.limits import Unreadable
from doctor.read.streams import CHUNK_BYTES, Blob, Chunks, ChunkStream

if TYPE_CHECKING:
    from doctor.read.ended import Ended
    from doctor.read.envelopes import Unwrapper
    from doctor.read.lines import LineMap

HEAD_BYTES = 64 * 1024
_SAME_TROUBLE = 5  # of one kind of trouble so many are told one by one
_PERMISSION_HINT = "run as a user who may read it (sudo, or the service's group)"


@dataclass(slots=True)
class Source:
    """Something that can be opened and read from its start, as often as wanted, as UTF-8 text.

    Attributes:
        path: its name as the reader of the diagnosis knows it; of an archive's member ``logs.zip!dir/server.log``.
        size: bytes, None when not known before reading.
        name: the name that its kind is told by: a member's own, without suffixes of compression.
        blob: where it is plain text, in a file of its own or in a piece of one.
        encoding, unwrapper: what has to be undone on the way.
        folders: the folders that it lies in, from the one that the user named; for telling machines apart.
        host: the host that its lines name.
        node: the machine that it is from.
        troubles: what went wrong while reading, as (message, hint); complete when it was read to its end.
        lines: of text that was unwrapped, which line of the file each line comes from, as of the last opening.
        kind: what it is, where that is known without looking; else empty.
    """

    path: str
    size: int | None
    chunks: Callable[[], Chunks]
    name: str = ""
    blob: Blob | None = None
    encoding: str | None = None
    unwrapper: type[Unwrapper] | None = None
    folders: tuple[str, ...] = ()
    host: str | None = None
    node: str = "local"
    troubles: dict[str, str] = field(default_factory=dict)
    lines: LineMap | None = None
    kind: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_file(self) -> bool:
        """Whether its path is that of a file which holds just this text."""
        return self.blob is not None and self.blob.whole and self.encoding is None and self.unwrapper is None

    @property
    def head(self) -> bytes:
        """The first 64 KiB of the bare text, by which its kind is told. Read anew each time, not kept."""
        with self.open(bare=True) as stream:
            return stream.read(HEAD_BYTES)

    def open(self, *, bare: bool = False) -> BinaryIO:
        """A stream of the text. It ends where reading fails; why is then in ``troubles``.

        Args:
            bare: without the time, host and process that unwrapping puts before a line.

        Raises:
            OSError: a plain file can't be opened.
        """
        if self.blob is not None and self.encoding is None and self.unwrapper is None:
            return self.blob.open()
        chunks = self.chunks()
        if self.encoding is not None:
            from doctor.read.encoding import transcoded

            chunks = transcoded(chunks, self.encoding)
        if self.unwrapper is not None:
            from doctor.read.lines import LineMap

            lines = LineMap()
            chunks = self.unwrapper(bare=bare, lines=lines).chunks(chunks)
            self.lines = self.lines if bare else lines
        return cast(BinaryIO, io.BufferedReader(ChunkStream(chunks, self._failed), CHUNK_BYTES))

    def _failed(self, error: Exception) -> None:
        message, hint = reason(error)
        with self._lock:
            self.troubles.setdefault(message, hint)


@dataclass(slots=True)
class Collection:
    """Sources in reading order; model files seen on the way (path, bytes); how runs ended that were saved; trouble as
    (subject, message, hint)."""

    sources: list[Source] = field(default_factory=list)
    model_files: list[tuple[str, int]] = field(default_factory=list)
    endings: list[Ended] = field(default_factory=list)
    problems: list[tuple[str, str, str]] = field(default_factory=list)
    _counts: Counter[str] = field(default_factory=Counter)
    _places: dict[str, int] = field(default_factory=dict)

    def trouble(self, subject: str, message: str, hint: str = "") -> None:
        """Notes what went wrong. The same trouble with many files becomes one entry that counts them."""
        self._counts[message] += 1
        more = self._counts[message] - _SAME_TROUBLE
        if more > 1:
            self.problems[self._places[message]] = (subject, f"{message} (and {more - 1} more like it)", hint)
            return
        self._places[message] = len(self.problems)
        self.problems.append((subject, message, hint))


def first_bytes(chunks: Chunks) -> bytes:
    """The first 64 KiB, or what comes before reading fails.

    Raises:
        Exception: whatever reading fails with, if nothing comes before that.
    """
    parts: list[bytes] = []
    size = 0
    try:
        for chunk in chunks:
            parts.append(chunk)
            size += len(chunk)
            if size >= HEAD_BYTES:
                break
    except Exception:
        if not size:
            raise
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    return b"".join(parts)[:HEAD_BYTES]


def reason(error: Exception) -> tuple[str, str]:
    """Message and hint for whatever reading failed with."""
    if isinstance(error, Unreadable):
        return error.message, error.hint
    if isinstance(error, OSError):
        hint = _PERMISSION_HINT if isinstance(error, PermissionError) else ""
        return f"cannot be read: {error.strerror or error}", hint
    return f"cannot be read: {error or type(error).__name__}", ""
