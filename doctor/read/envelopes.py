"""Log lines inside other lines: what Docker and Kubernetes keep on disk, unwrapped on the way.

A wrapped line becomes what the platform's own command would have printed: ``docker logs --timestamps`` puts the time
before the text, ``journalctl -o short-iso-precise`` time, host, program and process (see ``journal``). So time, host
and process stay on the line, where ``prefix.envelope`` finds them. A *bare* text is without them: for saved output
that is read as a whole.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from doctor.read.lines import LineMap
from doctor.read.streams import Chunks
from doctor.read.times import parse_time

_LOOK_LINES = 12
_FIRST = tuple(bytes([char]) for char in b"{_0123456789d\x1e")
_LINE_BYTES = 8 * 1024 * 1024  # a longer "line" is passed on in pieces, as it is
_JOINED_BYTES = 1024 * 1024
_STREAMS = 64
_decode = json.JSONDecoder().raw_decode  # does not look for an encoding, as json.loads does on every line


class Unwrapper(ABC):
    """Takes the file's bytes, gives the text inside, and notes which line of the file each line of it comes from."""

    def __init__(self, *, bare: bool, lines: LineMap) -> None:
        self._bare = bare
        self._lines = lines
        self._out: list[bytes] = []
        self._numbers: list[int] = []
        self._open: dict[Any, _Piece] = {}

    def chunks(self, chunks: Chunks) -> Chunks:
        for chunk in chunks:
            self.feed(chunk)
            yield from self._taken()
        self.end()
        for piece in self._open.values():
            self._put(piece.number, piece.prefix, b"".join(piece.parts))
        yield from self._taken()

    @abstractmethod
    def feed(self, data: bytes) -> None: ...

    @abstractmethod
    def end(self) -> None: ...

    def _taken(self) -> Chunks:
        if self._out:
            self._lines.add(self._numbers)
            yield b"\n".join(self._out) + b"\n"
            self._out, self._numbers = [], []

    def _put(self, number: int, prefix: bytes, text: bytes) -> None:
        """One line of text, or several where it holds line ends; each gets the prefix."""
        if self._bare:
            prefix = b""
        if b"\n" in text:
            for part in text.split(b"\n"):
                self._out.append(prefix + part)
                self._numbers.append(number)
            return
        self._out.append(prefix + text)
        self._numbers.append(number)

    def _join(self, key: Any, number: int, prefix: bytes, text: bytes, *, ends: bool) -> None:
        """A piece of a line that was split; ``key`` says of which. Put when its end comes, under its first number."""
        piece = self._open.pop(key, None) or _Piece(number, prefix)
        piece.parts.append(text)
        piece.size += len(text)
        if ends or piece.size > _JOINED_BYTES:
            self._put(piece.number, piece.prefix, b"".join(piece.parts))
            return
        self._open[key] = piece
        if len(self._open) > _STREAMS:
            oldest = self._open.pop(next(iter(self._open)))
            self._put(oldest.number, oldest.prefix, b"".join(oldest.parts))


class _Piece:
    """The beginning of a line whose end has not come yet."""

    __slots__ = ("number", "parts", "prefix", "size")

    def __init__(self, number: int, prefix: bytes) -> None:
        self.number = number
        self.prefix = prefix
        self.parts: list[bytes] = []
        self.size = 0


class LineUnwrapper(Unwrapper):
    """For formats of one entry a line."""

    def __init__(self, *, bare: bool, lines: LineMap) -> None:
        super().__init__(bare=bare, lines=lines)
        self._carry = b""
        self._number = 0

    @classmethod
    @abstractmethod
    def fits(cls, line: bytes) -> bool:
        """Whether a line (it may be cut off) is an entry of this format."""

    @abstractmethod
    def line(self, line: bytes, number: int) -> None: ...

    def take(self, lines: list[bytes], first: int) -> None:
        for number, line in enumerate(lines, first):
            self.line(line, number)

    def feed(self, data: bytes) -> None:
        data = self._carry + data if self._carry else data
        cut = data.rfind(b"\n") + 1
        self._carry = data[cut:]
        if cut:
            lines = data[: cut - 1].split(b"\n")
            self.take(lines, self._number + 1)
            self._number += len(lines)
        if len(self._carry) > _LINE_BYTES:
            self._put(self._number + 1, b"", self._carry)
            self._carry = b""

    def end(self) -> None:
        if self._carry:
            self.line(self._carry, self._number + 1)


class Docker(LineUnwrapper):
    """``{"log":"text\\n","stream":"stderr","time":"..."}``: https://docs.docker.com/engine/logging/drivers/json-file/

    Docker splits lines at 16 KiB; only the last piece of a line ends with a line end. What a program wrote last
    before it died may lack one too, and belongs to no line that comes later.
    """

    _SPLIT_BYTES: ClassVar = 16_000  # 16 KiB, less what a character that was cut in two may cost
    _SPLIT_SECONDS: ClassVar = 0.05

    # An entry as nearly all are: a whole line, no escapes but the simple ones.
    _PLAIN: ClassVar = re.compile(
        rb'\{"log":"([^"\\]*(?:\\["tr][^"\\]*)*)\\n","stream":"(?:stdout|stderr)","time":"([^"\\]*)"\}\r?\Z'
    )

    @classmethod
    def fits(cls, line: bytes) -> bool:
        if line.startswith(b'{"log":"'):
            return True
        return line.startswith(b"{") and all(key in line for key in (b'"log":', b'"stream":', b'"time":'))

    def take(self, lines: list[bytes], first: int) -> None:
        match, bare, out, numbers = self._PLAIN.match, self._bare, self._out.append, self._numbers.append
        for number, line in enumerate(lines, first):
            found = None if self._open else match(line)
            if found is None:
                self.line(line, number)
                continue
            text, time = found.groups()
            if b"\\" in text:
                text = text.replace(b'\\"', b'"').replace(b"\\t", b"\t").replace(b"\\r", b"\r")
            out(text if bare else b"%b %b" % (time, text))
            numbers(number)

    def line(self, line: bytes, number: int) -> None:
        entry = parse_json(line)
        text = entry.get("log") if entry else None
        if entry is None or not isinstance(text, str):
            self._put(number, b"", line)
            return
        stream, time = (str(entry.get(key) or "").encode("utf-8", "replace")[:40] for key in ("stream", "time"))
        self._entry(number, text.removesuffix("\n").encode("utf-8", "replace"), stream, time, ends=text.endswith("\n"))

    def _entry(self, number: int, text: bytes, stream: bytes, time: bytes, *, ends: bool) -> None:
        prefix = time + b" " if time else b""
        if self._open and (piece := self._open.get(stream)) and not self._belongs(piece, time):
            self._join(stream, number, prefix, b"", ends=True)
        if ends and stream not in self._open:
            self._put(number, prefix, text)
        else:
            self._join(stream, number, prefix, text, ends=ends)

    def _belongs(self, piece: _Piece, time: bytes) -> bool:
        """Whether an entry of this time goes on with the piece."""
        if len(piece.parts[-1]) >= self._SPLIT_BYTES:
            return True
        before, now = (parse_time(text.decode("ascii", "replace")) for text in (piece.prefix, time))
        return before is None or now is None or (now - before).total_seconds() <= self._SPLIT_SECONDS


class Cri(LineUnwrapper):
    """``2026-01-01T00:00:00.000000000Z stderr F text``, as the kubelet keeps it; ``P``: the line goes on.

    https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
    """

    _ENTRY: ClassVar = re.compile(
        rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) (stdout|stderr) ([PF])(?::\S*)?(?: |$)"
    )

    @classmethod
    def fits(cls, line: bytes) -> bool:
        return cls._ENTRY.match(line) is not None

    def take(self, lines: list[bytes], first: int) -> None:
        match, bare, out, numbers = self._ENTRY.match, self._bare, self._out.append, self._numbers.append
        for number, line in enumerate(lines, first):
            found = None if self._open else match(line)
            if found is None or found[3] == b"P":
                self.line(line, number)
                continue
            text = line[found.end() :]
            out(text if bare else b"%b %b" % (found[1], text))
            numbers(number)

    def line(self, line: bytes, number: int) -> None:
        found = self._ENTRY.match(line)
        if not found:
            self._put(number, b"", line)
            return
        time, stream, tag = found.groups()
        self._join(stream, number, time + b" ", line[found.end() :], ends=tag == b"F")


def parse_json(line: bytes) -> dict[str, Any] | None:
    """The object on a line; None for anything else."""
    try:
        entry, _ = _decode(line.decode("utf-8", "replace").strip())
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def envelope_of(head: bytes) -> type[Unwrapper] | None:
    """What wraps the lines of a file, by its first ones: all must be of one kind.

    Of a file whose beginning was cut off, the first line may be something else.
    """
    if head[:1] not in _FIRST and b"\n{" not in head[:4096] and b"\n20" not in head[:4096]:
        return None
    from doctor.read.journal import JournalExport, JournalJson

    if JournalExport.begins(head):
        return JournalExport
    lines = head.split(b"\n")
    if len(lines) > 1:
        lines.pop()
    lines = [line for line in lines[: 2 * _LOOK_LINES] if line.strip()][:_LOOK_LINES]
    kinds: tuple[type[LineUnwrapper], ...] = (Docker, Cri, JournalJson)
    for kind in kinds:
        if not lines or not kind.fits(lines[-1]):
            continue
        fit = [kind.fits(line) for line in lines]
        if all(fit) or (len(fit) > 3 and all(fit[1:])):
            return kind
    return None
