"""The lines of one block: where a match's line begins and ends, its number, its neighbours."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from doctor.scan.blocks import Block
from doctor.scan.engines import LINES_A_MARK

EDGE_LINES = 5
LINE_CHARS = 8 * 1024
CONTEXT_CHARS = 500
_CONTEXT_BYTES = 4 * CONTEXT_CHARS
_REACH = 32 * 1024  # of a line longer than LINE_CHARS, so much is looked at on either side of a match
_COLOUR = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")


@dataclass(slots=True)
class RawLine:
    """A line with its neighbours, which are decoded only when the line is kept to the end.

    Attributes:
        number: the line's offset until the block's lines are counted, then counts from 0 within the block, and from 1
            in the whole text once the block is placed.
        before, after: the neighbours within the block, undecoded, and how many they are.
        outer_before, outer_after: those in other blocks.
    """

    number: int
    text: str
    before: bytes
    after: bytes
    lines_before: int
    lines_after: int
    outer_before: list[str] = field(default_factory=list)
    outer_after: list[str] = field(default_factory=list)

    @property
    def weight(self) -> int:
        """Bytes of memory, about."""
        return 600 + len(self.text) + len(self.before) + len(self.after)

    def neighbours(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        before = _short_lines(self.before) if self.lines_before else []
        after = _short_lines(self.after) if self.lines_after else []
        return (*self.outer_before, *before), (*after, *self.outer_after)


class BlockLines:
    """A block's bytes without colour codes, and the lines of it that were asked for.

    Attributes:
        data, size: the bytes are ``data[:size]``.
    """

    def __init__(self, block: Block, context: int) -> None:
        self.data: bytearray | bytes = block.text
        self.size = block.size
        if self.data.find(b"\x1b", 0, self.size) >= 0:
            self.data = _COLOUR.sub(b"", bytes(memoryview(self.data)[: self.size]))
            self.size = len(self.data)
        self._context = context
        # Where the first line begins that begins in this block; what is before it is known to other blocks.
        self._first = (self.data.find(b"\n", 0, self.size) + 1 or self.size) if block.continues else 0
        self._lines: dict[int, RawLine] = {}

    def bounds(self, end: int) -> tuple[int, int]:
        """Where the line begins and ends that has a match which ends at ``end``."""
        stop = self.data.find(b"\n", end, self.size)
        return self.data.rfind(b"\n", 0, end) + 1, self.size if stop < 0 else stop

    def count(self, ends: Sequence[int]) -> int:
        """In how many lines these matches (in order) end."""
        find, previous, count = self.data.find, 0, 0
        for end in ends:
            if not previous or find(b"\n", previous, end) >= 0:
                count += 1
            previous = end
        return count

    def text(self, start: int, stop: int, end: int) -> str:
        """The line's text; of a long one what is around the match."""
        if stop - start > LINE_CHARS:
            start, stop = max(start, end - _REACH), min(stop, end + _REACH)
        return _decode(self.data[start:stop])

    def line(self, start: int, stop: int) -> RawLine:
        """The line with its neighbours; the same one for every match in it."""
        line = self._lines.get(start)
        if line is None:
            line = self._lines[start] = self._line(start, stop, _decode(self.data[start:stop]))
        return line

    def long_line(self, start: int, stop: int, end: int, text: str, where: int) -> RawLine:
        """A line too long to be kept whole: of ``text``, what is around ``where``. The match ends at ``end``."""
        begin = max(0, min(where - LINE_CHARS // 4, len(text) - LINE_CHARS))
        line = self._lines[-end] = self._line(start, stop, text[begin : begin + LINE_CHARS])
        return line

    def _line(self, start: int, stop: int, text: str) -> RawLine:
        data, size = self.data, self.size
        lines_before = lines_after = 0
        begin = start
        while lines_before < self._context and begin > self._first:
            begin = data.rfind(b"\n", 0, begin - 1) + 1
            lines_before += 1
        end = stop
        while lines_after < self._context and end + 1 < size:
            end = data.find(b"\n", end + 1, size)
            lines_after += 1
            if end < 0:
                end = size
        before, after = _cut(data[begin : max(start - 1, 0)]), _cut(data[stop + 1 : end])
        return RawLine(start, text, before, after, lines_before, lines_after)

    def number(self, marks: list[int]) -> int:
        """Turns the offsets of the lines asked for into numbers; returns how many newlines there are."""
        data = self.data
        place = counted = 0
        for line in sorted(self._lines.values(), key=lambda line: line.number):
            start = line.number
            mark = bisect_right(marks, start)
            if mark and marks[mark - 1] > place:
                place, counted = marks[mark - 1], mark * LINES_A_MARK
            counted += data.count(b"\n", place, start)
            place = start
            line.number = counted
        if marks and marks[-1] > place:
            place, counted = marks[-1], len(marks) * LINES_A_MARK
        return counted + data.count(b"\n", place, self.size)

    def head(self) -> list[str]:
        """The first lines that begin in the block."""
        lines: list[str] = []
        place = self._first
        while len(lines) < EDGE_LINES and place < self.size:
            end = self.data.find(b"\n", place, self.size)
            end = self.size if end < 0 else end
            lines.append(_decode(self.data[place : min(end, place + LINE_CHARS)]))
            place = end + 1
        return lines

    def tail(self) -> list[str]:
        """The last lines that begin in the block."""
        lines: list[str] = []
        end = self.size - self.data.endswith(b"\n", 0, self.size)
        while len(lines) < EDGE_LINES and end >= self._first and self.size > self._first:
            start = self.data.rfind(b"\n", 0, end) + 1
            lines.append(_decode(self.data[start : min(end, start + LINE_CHARS)]))
            end = start - 1
        return lines[::-1]


def _cut(lines: bytearray | bytes) -> bytes:
    """Lines, each only as long as it can be shown."""
    if len(lines) > _CONTEXT_BYTES:
        return b"\n".join(line[:_CONTEXT_BYTES] for line in lines.split(b"\n"))
    return bytes(lines)


def _short_lines(lines: bytes) -> list[str]:
    return [_decode(line)[:CONTEXT_CHARS] for line in lines.split(b"\n")]


def _decode(data: bytearray | bytes) -> str:
    """A line's text, without the carriage return of its end."""
    return data.decode("utf-8", "replace").rstrip("\r")
