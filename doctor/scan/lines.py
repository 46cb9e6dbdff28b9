"""The lines of one block: where a match's line begins and ends, and the parts of the block that are kept."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from doctor.scan.blocks import Block
from doctor.scan.engines import LINES_A_MARK

EDGE_LINES = 5
LINE_CHARS = 8 * 1024
CONTEXT_CHARS = 500
_CONTEXT_BYTES = 4 * CONTEXT_CHARS
_REACH = 32 * 1024  # of a line longer than LINE_CHARS, so much is looked at on either side of a match
_GAP = 512  # matches that are closer together share a region
_REGION_BYTES = 8 * 1024
_COLOUR = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")
_NEWLINE = re.compile(rb"\n")


@dataclass(slots=True)
class Region:
    """Lines of a block that follow each other, from one with a match to another, undecoded.

    Attributes:
        offset: where it begins in the block.
        number: newlines in the block before it.
        text: the lines; of a line that is too long at either end, only so much as matches may reach.
        before, after: the neighbours outside, within the block.
    """

    offset: int
    number: int
    text: bytes
    before: list[bytes]
    after: list[bytes]
    _lines: list[str] = field(default_factory=list)
    _short: list[str] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)

    @property
    def weight(self) -> int:
        """Bytes of memory, about."""
        return 500 + len(self.text) + sum(map(len, self.before)) + sum(map(len, self.after))

    def line_at(self, end: int) -> int:
        """Which of the lines has the match that ends at ``end`` (from the region's beginning)."""
        if not self._starts:
            self._starts = [0, *(newline.end() for newline in _NEWLINE.finditer(self.text))]
        return bisect_left(self._starts, end) - 1

    def lines(self) -> list[str]:
        if not self._lines:
            self._lines = self.text.decode("utf-8", "replace").split("\n")
            if b"\r" in self.text:
                self._lines = [line.rstrip("\r") for line in self._lines]
            self._short = [line[:CONTEXT_CHARS] for line in self._lines]
        return self._lines

    def short_lines(self) -> list[str]:
        """The lines as neighbours are shown."""
        self.lines()
        return self._short

    def near(self, line: int, end: int) -> str:
        """Of a line, what is around a match that ends at ``end``."""
        start = self._starts[line]
        stop = self._starts[line + 1] - 1 if line + 1 < len(self._starts) else len(self.text)
        return decode(self.text[max(start, end - _REACH) : min(stop, end + _REACH)])


@dataclass(slots=True)
class BlockText:
    """What is kept of a block.

    Attributes:
        base: the number of its first line in the whole text.
        outer_before, outer_after: lines around the block.
        uses: by how many patterns it is needed.
    """

    regions: list[Region]
    continues: bool
    base: int = 0
    outer_before: tuple[str, ...] = ()
    outer_after: tuple[str, ...] = ()
    uses: int = 0
    _offsets: list[int] = field(default_factory=list)

    @property
    def weight(self) -> int:
        return sum(region.weight for region in self.regions)

    def region_at(self, end: int) -> Region:
        """The region with the match that ends at ``end``."""
        if len(self._offsets) != len(self.regions):
            self._offsets = [region.offset for region in self.regions]
        return self.regions[bisect_left(self._offsets, end) - 1]

    def neighbours(self, region: Region, line: int, most: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Up to so many lines before and after a line of a region."""
        lines = region.short_lines()
        before = lines[max(0, line - most) : line]
        if len(before) < most:
            before = [decode(each)[:CONTEXT_CHARS] for each in region.before] + before
            if len(before) < most:
                # In a block that begins within a line the last line known from before is that line itself.
                outer = self.outer_before[:-1] if self.continues and region.number + line == 0 else self.outer_before
                before = [each[:CONTEXT_CHARS] for each in outer] + before
            before = before[max(0, len(before) - most) :]
        after = lines[line + 1 : line + 1 + most]
        if len(after) < most:
            after += [decode(each)[:CONTEXT_CHARS] for each in region.after]
            after += [each[:CONTEXT_CHARS] for each in self.outer_after]
        return tuple(before), tuple(after[:most])

    def forget(self, ends: set[int]) -> None:
        """Drops the regions in which none of these matches end."""
        needed = {id(self.region_at(end)) for end in ends}
        self.regions = [region for region in self.regions if id(region) in needed]


class BlockLines:
    """A block's bytes without colour codes: ``data[:size]``."""

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

    def pieces(self, most: int, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
        """Whole lines together, up to ``most`` bytes where lines are no longer: where they begin and end."""
        end = self.size if end is None else end
        while start < end:
            stop = min(start + most, end)
            if stop < end:
                stop = self.data.rfind(b"\n", start, stop) + 1 or self.data.find(b"\n", stop, end) + 1 or end
            yield start, stop
            start = stop

    def bounds(self, end: int) -> tuple[int, int]:
        """Where the line begins and ends that has a match which ends at ``end``."""
        stop = self.data.find(b"\n", end, self.size)
        return self.data.rfind(b"\n", 0, end) + 1, self.size if stop < 0 else stop

    def distinct(self, ends: list[int]) -> list[int]:
        """Of these matches (in order), the first in each line; in a long one some more, for each sees only a part."""
        find, size = self.data.find, self.size
        line_end = -1
        chosen: list[int] = []
        for end in ends:
            if end > line_end or end - chosen[-1] > _REACH // 2:
                chosen.append(end)
                line_end = find(b"\n", end, size)
                if line_end < 0:
                    line_end = size
        return chosen

    def text(self, start: int, stop: int, end: int) -> str:
        """The line's text; of a long one what is around the match."""
        if stop - start > LINE_CHARS:
            start, stop = max(start, end - _REACH), min(stop, end + _REACH)
        return decode(self.data[start:stop])

    def regions(self, ends: list[int], marks: list[int]) -> tuple[list[Region], int]:
        """The parts of the block around these matches (in order), and how many newlines it has."""
        regions: list[Region] = []
        position, count = 0, len(ends)
        place = counted = 0
        while position < count:
            first = last = ends[position]
            position += 1
            while position < count and ends[position] - last < _GAP and ends[position] - first < _REGION_BYTES:
                last = ends[position]
                position += 1
            region = self._region(first, last)
            place, counted = self._count(place, counted, region.offset, marks)
            region.number = counted
            regions.append(region)
        return regions, self._count(place, counted, self.size, marks)[1]

    def _region(self, first: int, last: int) -> Region:
        data, size = self.data, self.size
        start, stop = data.rfind(b"\n", 0, first) + 1, data.find(b"\n", last, size)
        stop = size if stop < 0 else stop
        before: list[bytes] = []
        begin = start
        while len(before) < self._context and begin > self._first:
            previous = data.rfind(b"\n", 0, begin - 1) + 1
            before.append(bytes(data[previous : min(begin - 1, previous + _CONTEXT_BYTES)]))
            begin = previous
        after: list[bytes] = []
        end = stop + 1
        while len(after) < self._context and end < size:
            following = data.find(b"\n", end, size)
            following = size if following < 0 else following
            after.append(bytes(data[end : min(following, end + _CONTEXT_BYTES)]))
            end = following + 1
        start, stop = max(start, first - _REACH), min(stop, last + _REACH)
        return Region(start, 0, bytes(data[start:stop]), before[::-1], after)

    def _count(self, place: int, counted: int, upto: int, marks: list[int]) -> tuple[int, int]:
        mark = bisect_right(marks, upto)
        if mark and marks[mark - 1] > place:
            place, counted = marks[mark - 1], mark * LINES_A_MARK
        return upto, counted + self.data.count(b"\n", place, upto)

    def head(self) -> list[str]:
        """The first lines that begin in the block."""
        lines: list[str] = []
        place = self._first
        while len(lines) < EDGE_LINES and place < self.size:
            end = self.data.find(b"\n", place, self.size)
            end = self.size if end < 0 else end
            lines.append(decode(self.data[place : min(end, place + LINE_CHARS)]))
            place = end + 1
        return lines

    def tail(self) -> list[str]:
        """The last lines that begin in the block."""
        lines: list[str] = []
        end = self.size - self.data.endswith(b"\n", 0, self.size)
        while len(lines) < EDGE_LINES and end >= self._first and self.size > self._first:
            start = self.data.rfind(b"\n", 0, end) + 1
            lines.append(decode(self.data[start : min(end, start + LINE_CHARS)]))
            end = start - 1
        return lines[::-1]


def around(text: str, where: int) -> str:
    """Of a long text, what is around ``where``."""
    if len(text) <= LINE_CHARS:
        return text
    begin = max(0, min(where - LINE_CHARS // 4, len(text) - LINE_CHARS))
    return text[begin : begin + LINE_CHARS]


def decode(data: bytes | bytearray) -> str:
    """A line's text, without the carriage return of its end."""
    return data.decode("utf-8", "replace").rstrip("\r")
