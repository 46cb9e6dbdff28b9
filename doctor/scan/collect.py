"""From matches in a block to candidate lines, each with its number, its neighbours and, where needed, its captures.

Whatever a block holds, the work and the memory that it costs are bounded:

* hyperscan stops after ``MATCHES_A_BLOCK`` matches. The rest of such a block is searched in pieces of 64 KiB, for the
  first match of every pattern in each: a pattern that comes again within a piece is then missed, and counts are lower
  bounds.
* Of each pattern the first and the last ``KEEP`` lines of a block are kept, the others are counted.
* Where a form finds more than its pattern, lines are matched at once, at most ``LOOKS_A_BLOCK`` of a pattern, from
  both ends of the block: a hit among more near misses than that is missed, and a problem says so.
* A match may take ``SECONDS_A_LINE``; a pattern that exceeds that three times is given up.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from doctor.scan.blocks import Block
from doctor.scan.database import Database
from doctor.scan.engines import LINES_A_MARK, Found

KEEP = 256
EDGE_LINES = 5
LINE_CHARS = 8 * 1024
CONTEXT_CHARS = 500
_CONTEXT_BYTES = 4 * CONTEXT_CHARS
MATCHES_A_BLOCK = 1 << 16
PIECE_BYTES = 64 * 1024
LOOKS_A_BLOCK = 16 * 1024
SECONDS_A_LINE = 0.25
_REACH = 32 * 1024  # of a line longer than LINE_CHARS, so much is looked at on either side of a match
_SAMPLE_REACH = 256 * 1024  # how far a dense pattern is searched for behind a near miss
_SAMPLE_LOOKS = 16
_COLOUR = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")

Text = bytearray | bytes


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


@dataclass(slots=True)
class Candidate:
    """A line and, once it was matched, what was captured."""

    line: RawLine
    captures: dict[str, str | None] | None = None


@dataclass(slots=True)
class Kept:
    """Of one pattern in one block: how many lines, and the first and the last of them."""

    count: int = 0
    lines: list[Candidate] = field(default_factory=list)


@dataclass(slots=True)
class BlockHits:
    """What one block holds.

    Attributes:
        newlines: how many.
        head, tail: its first and last lines (of those that begin in it).
        kept: by number of the pattern.
        flooded: not every match was looked at.
    """

    block: int
    continues: bool
    read: int
    newlines: int
    head: list[str]
    tail: list[str]
    kept: dict[int, Kept]
    flooded: bool


class Matcher:
    """Matches lines by the patterns themselves; shared by all threads."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.problems: dict[str, None] = {}
        self._overruns: dict[int, int] = {}

    def match(self, number: int, text: str) -> Any:
        """The match, or None. A line that a progress bar wrote over and over is tried from its last writing back."""
        if self._overruns.get(number, 0) > 2:
            return None
        search = self.database.regex(number).search
        try:
            if "\r" not in text:
                return search(text, timeout=SECONDS_A_LINE)
            for segment in reversed(text.split("\r")):
                found = search(segment, timeout=SECONDS_A_LINE)
                if found is not None:
                    return found
        except TimeoutError:
            self._overruns[number] = self._overruns.get(number, 0) + 1
            if self._overruns[number] > 2:
                self.note(f"pattern {self.database.patterns[number].key} takes too long and is given up")
        return None

    def note(self, problem: str) -> None:
        self.problems.setdefault(problem)


class Collector:
    """Takes blocks, one thread's.

    Args:
        settled: patterns (by number) whose first lines are no longer wanted.
    """

    def __init__(self, matcher: Matcher, *, sampled: bool, context: int, settled: Sequence[bool]) -> None:
        self._matcher = matcher
        self._database = matcher.database
        self._sampled = sampled
        self._searcher = self._database.searcher("sampled" if sampled else "full")
        self._context = context
        self._settled = settled
        self._text: Text = b""
        self._size = 0
        self._continues = False
        self._lines: dict[int, RawLine] = {}

    def take(self, block: Block) -> BlockHits:
        self._text, self._size, self._continues = block.text, block.size, block.continues
        if self._text.find(b"\x1b", 0, self._size) >= 0:
            self._text = _COLOUR.sub(b"", bytes(memoryview(self._text)[: self._size]))
            self._size = len(self._text)
        self._lines = {}
        with memoryview(self._text) as view:
            found, flooded = self._search(view[: self._size])
            marks = self._searcher.marks(view[: self._size]) if self._sampled else []
        ends: dict[int, list[int]] = {}
        for end, number in sorted(found):
            ends.setdefault(number, []).append(end)
        kept = {}
        for number, places in ends.items():
            lines = self._keep(number, self._distinct(places))
            if lines.count:
                kept[number] = lines
        newlines = self._number(marks)
        return BlockHits(block.number, block.continues, block.read, newlines, self._head(), self._tail(), kept, flooded)

    def _search(self, data: memoryview) -> tuple[Found, bool]:
        found, stopped = self._searcher.search(data, MATCHES_A_BLOCK)
        if not stopped:
            return found, False
        once = self._database.searcher("once")
        # Matches of different patterns may come a little out of order: begin again a piece earlier.
        position = self._text.rfind(b"\n", 0, max(found[-1][0] - PIECE_BYTES, 0)) + 1
        while position < self._size:
            cut = min(position + PIECE_BYTES, self._size)
            if cut < self._size:
                cut = self._text.rfind(b"\n", position, cut) + 1 or self._text.find(b"\n", cut, self._size) + 1
            cut = cut or self._size
            piece, _ = once.search(data[position:cut], MATCHES_A_BLOCK)
            found += [(end + position, number) for end, number in piece]
            position = cut
        return found, True

    # --- which lines -----------------------------------------------------------------------------------------------

    def _distinct(self, ends: list[int]) -> list[int]:
        """One match a line: the last one."""
        chosen = []
        position, count = 0, len(ends)
        find, size = self._text.find, self._size
        while position < count:
            line_end = find(b"\n", ends[position], size)
            if line_end < 0:
                chosen.append(ends[-1])
                break
            position = bisect_right(ends, line_end, position)
            chosen.append(ends[position - 1])
        return chosen

    def _keep(self, number: int, ends: list[int]) -> Kept:
        sampled = self._sampled and self._database.patterns[number].dense
        if self._database.forms[number].exact and not sampled:
            chosen = ends
            if self._settled[number]:
                chosen = ends[-KEEP:]
            elif len(ends) > 2 * KEEP:
                chosen = ends[:KEEP] + ends[-KEEP:]
            lines = [line for end in chosen if (line := self._candidate(number, end)) is not None]
            return Kept(len(ends) - len(chosen) + len(lines), lines)
        if sampled:
            return self._sample(number, ends[0])
        return self._look(number, ends)

    def _look(self, number: int, ends: list[int]) -> Kept:
        """Lines that the pattern itself matches: from the first on, then from the last back."""
        first: list[Candidate] = []
        last: list[Candidate] = []
        looks = LOOKS_A_BLOCK
        low, high = 0, len(ends)
        wanted = 0 if self._settled[number] else KEEP
        while low < high and len(first) < wanted and looks > LOOKS_A_BLOCK // 2:
            candidate = self._candidate(number, ends[low], now=True)
            low += 1
            looks -= 1
            if candidate is not None:
                first.append(candidate)
        while low < high and len(last) < KEEP and looks:
            high -= 1
            looks -= 1
            candidate = self._candidate(number, ends[high], now=True)
            if candidate is not None:
                last.append(candidate)
        if low < high and not looks:
            key = self._database.patterns[number].key
            self._matcher.note(f"pattern {key}: too many near misses; some lines were not looked at")
            high = low
        return Kept(len(first) + len(last) + high - low, first + last[::-1])

    def _sample(self, number: int, end: int) -> Kept:
        """The first line of a dense pattern. hyperscan reports one match a block; behind a near miss ``re`` goes on."""
        candidate = self._candidate(number, end, now=True)
        if candidate is None:
            pattern, form = self._database.patterns[number], self._database.forms[number]
            search = re.compile(form.expression, re.IGNORECASE if pattern.ignore_case else 0).search
            reach = min(self._size, end + _SAMPLE_REACH)
            for _ in range(_SAMPLE_LOOKS):
                line_end = self._text.find(b"\n", end, reach)
                found = search(self._text, line_end, reach) if line_end >= 0 else None
                if found is None:
                    break
                end = found.end()
                candidate = self._candidate(number, end, now=True)
                if candidate is not None:
                    break
        return Kept() if candidate is None else Kept(1, [candidate])

    def _candidate(self, number: int, end: int, *, now: bool = False) -> Candidate | None:
        """The line with the match that ends at ``end``; matched ``now`` or, of short lines, later. None: no match."""
        data = self._text
        start = data.rfind(b"\n", 0, end) + 1
        stop = data.find(b"\n", end, self._size)
        stop = self._size if stop < 0 else stop
        line = self._lines.get(start)
        captures: dict[str, str | None] | None = None
        if now or stop - start > LINE_CHARS:
            text = line.text if line else _decode(data[max(start, end - _REACH) : min(stop, end + _REACH)])
            match = self._matcher.match(number, text)
            if match is None:
                return None
            captures = match.groupdict()
            if stop - start > LINE_CHARS:
                # Too long to be kept: only what is around the match, which is elsewhere for another pattern.
                begin = max(0, min(text.find(match[0]) - LINE_CHARS // 4, len(text) - LINE_CHARS))
                line = self._lines[-end] = self._raw(start, stop, text[begin : begin + LINE_CHARS])
        if line is None:
            line = self._lines[start] = self._raw(start, stop, _decode(data[start:stop]))
        return Candidate(line, captures)

    # --- what is around them ---------------------------------------------------------------------------------------

    def _raw(self, start: int, stop: int, line: str) -> RawLine:
        text, size = self._text, self._size
        first = text.find(b"\n", 0, size) + 1 if self._continues else 0  # what begins elsewhere is not known here
        lines_before = lines_after = 0
        begin = start
        while lines_before < self._context and begin > first:
            begin = text.rfind(b"\n", 0, begin - 1) + 1
            lines_before += 1
        end = stop
        while lines_after < self._context and end + 1 < size:
            end = text.find(b"\n", end + 1, size)
            lines_after += 1
            if end < 0:
                end = size
        before, after = _cut(text[begin : max(start - 1, 0)]), _cut(text[stop + 1 : end])
        return RawLine(start, line, before, after, lines_before, lines_after)

    def _short(self, start: int, stop: int) -> str:
        return _decode(self._text[start : min(stop, start + LINE_CHARS)])

    def _number(self, marks: list[int]) -> int:
        """Turns the offsets of lines into numbers; returns how many newlines there are."""
        text = self._text
        place = counted = 0
        for line in sorted(self._lines.values(), key=lambda line: line.number):
            start = line.number
            mark = bisect_right(marks, start)
            if mark and marks[mark - 1] > place:
                place, counted = marks[mark - 1], mark * LINES_A_MARK
            counted += text.count(b"\n", place, start)
            place = start
            line.number = counted
        if marks and marks[-1] > place:
            place, counted = marks[-1], len(marks) * LINES_A_MARK
        return counted + text.count(b"\n", place, self._size)

    def _head(self) -> list[str]:
        lines: list[str] = []
        place = 0
        if self._continues:
            place = self._text.find(b"\n", 0, self._size) + 1 or self._size
        while len(lines) < EDGE_LINES and place < self._size:
            end = self._text.find(b"\n", place, self._size)
            end = self._size if end < 0 else end
            lines.append(self._short(place, end))
            place = end + 1
        return lines

    def _tail(self) -> list[str]:
        lines: list[str] = []
        end = self._size - self._text.endswith(b"\n", 0, self._size)
        first = 0
        if self._continues:
            first = self._text.find(b"\n", 0, self._size) + 1 or self._size
        while len(lines) < EDGE_LINES and end >= first and self._size > first:
            start = self._text.rfind(b"\n", 0, end) + 1
            lines.append(self._short(start, end))
            end = start - 1
        return lines[::-1]


def _cut(lines: Text) -> bytes:
    """Lines, each only as long as it can be shown."""
    if len(lines) > _CONTEXT_BYTES:
        return b"\n".join(line[:_CONTEXT_BYTES] for line in lines.split(b"\n"))
    return bytes(lines)


def _short_lines(lines: bytes) -> list[str]:
    return [_decode(line)[:CONTEXT_CHARS] for line in lines.split(b"\n")]


def _decode(data: Text) -> str:
    """A line's text, without the carriage return of its end."""
    return data.decode("utf-8", "replace").rstrip("\r")
