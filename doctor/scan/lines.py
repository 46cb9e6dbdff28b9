"""The lines of one block: where a match's line begins and ends, its number, its neighbours."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from doctor.scan.blocks import Block
from doctor.scan.engines import LINES_A_MARK

EDGE_LINES = 5
LINE_CHARS = 8 * 1024
CONTEXT_CHARS = 500
_CONTEXT_BYTES = 4 * CONTEXT_CHARS
_CHUNK_BYTES = 4 * 1024
_REACH = 32 * 1024  # of a line longer than LINE_CHARS, so much is looked at on either side of a match
_COLOUR = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")


@dataclass(slots=True)
class RawLine:
    """A line with its neighbours, undecoded: most are dropped again before the end.

    Attributes:
        number: the line's offset until the block's lines are counted, then counts from 0 within the block, and from 1
            in the whole text once the block is placed.
        chunk: the neighbours within the block and the line between them, ``chunk[at : at + length]``.
        lines_before, lines_after: how many neighbours the chunk holds.
        text: of a long line what is around the match; else None.
        outer_before, outer_after: neighbours in other blocks.
    """

    number: int
    chunk: bytes
    at: int
    length: int
    lines_before: int
    lines_after: int
    text: str | None = None
    outer_before: tuple[str, ...] = ()
    outer_after: tuple[str, ...] = ()

    @property
    def weight(self) -> int:
        """Bytes of memory, about."""
        return 400 + len(self.chunk) + (len(self.text) if self.text is not None else 0)

    def decoded(self) -> str:
        return _decode(self.chunk[self.at : self.at + self.length]) if self.text is None else self.text

    def lines(self) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """The line, those before and those after it."""
        texts = self.chunk.decode("utf-8", "replace").split("\n")
        if b"\r" in self.chunk:
            texts = [text.rstrip("\r") for text in texts]
        middle = self.lines_before
        text = texts[middle] if self.text is None else self.text
        if len(self.chunk) > CONTEXT_CHARS:
            texts = [each[:CONTEXT_CHARS] for each in texts]
        after = texts[middle + 1 : middle + 1 + self.lines_after]
        return text, (*self.outer_before, *texts[:middle]), (*after, *self.outer_after)


class BlockLines:
    """A block's bytes without colour codes, and the lines of it that were asked for.

    Attributes:
        data, size: the bytes are ``data[:size]``.
        lines: those asked for.
    """

    def __init__(self, block: Block, context: int) -> None:
        self.data: bytearray | bytes = block.text
        self.size = block.size
        if self.data.find(b"\x1b", 0, self.size) >= 0:
            self.data = _COLOUR.sub(b"", bytes(memoryview(self.data)[: self.size]))
            if block.text[block.size - 1] != ord("\n") and not self.data.rpartition(b"\n")[2]:
                self.data += b"\r"  # a last line of nothing but codes stays one
            self.size = len(self.data)
        self._context = context
        # Where the first line begins that begins in this block; what is before it is known to other blocks.
        self._first = (self.data.find(b"\n", 0, self.size) + 1 or self.size) if block.continues else 0
        self.lines: dict[int, RawLine] = {}

    def pieces(self, most: int) -> Iterator[tuple[int, int]]:
        """Whole lines together, up to ``most`` bytes where lines are no longer: where they begin and end."""
        start = 0
        while start < self.size:
            stop = min(start + most, self.size)
            if stop < self.size:
                stop = (
                    self.data.rfind(b"\n", start, stop) + 1 or self.data.find(b"\n", stop, self.size) + 1 or self.size
                )
            yield start, stop
            start = stop

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
        line = self.lines.get(start)
        if line is None:
            line = self.lines[start] = self._line(start, stop)
        return line

    def long_line(self, start: int, stop: int, end: int, text: str, where: int) -> RawLine:
        """A line too long to be kept whole: of ``text``, what is around ``where``. The match ends at ``end``."""
        line = self.lines[-end] = self._line(start, stop)
        begin = max(0, min(where - LINE_CHARS // 4, len(text) - LINE_CHARS))
        line.text = text[begin : begin + LINE_CHARS]
        return line

    def _line(self, start: int, stop: int) -> RawLine:
        data, size, first, context = self.data, self.size, self._first, self._context
        lines_before = lines_after = 0
        begin = start
        while lines_before < context and begin > first:
            begin = data.rfind(b"\n", 0, begin - 1) + 1
            lines_before += 1
        end = stop
        while lines_after < context and end + 1 < size:
            end = data.find(b"\n", end + 1, size)
            lines_after += 1
            if end < 0:
                end = size
        if end - begin <= _CHUNK_BYTES:
            chunk, at, length = data[begin:end], start - begin, stop - start
        else:
            before = b"".join(line[:_CONTEXT_BYTES] + b"\n" for line in data[begin:start].split(b"\n")[:-1])
            at, length = len(before), 0 if stop - start > LINE_CHARS else stop - start
            after = b"\n".join(line[:_CONTEXT_BYTES] for line in data[stop + 1 : end].split(b"\n"))
            chunk = before + data[start : start + length] + b"\n" + after
        return RawLine(start, bytes(chunk), at, length, lines_before, lines_after)

    def number(self, marks: list[int]) -> int:
        """Turns the offsets of the lines asked for into numbers; returns how many newlines there are."""
        data = self.data
        place = counted = 0
        for line in sorted(self.lines.values(), key=lambda line: line.number):
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


def _decode(data: bytearray | bytes) -> str:
    """A line's text, without the carriage return of its end."""
    return data.decode("utf-8", "replace").rstrip("\r")
