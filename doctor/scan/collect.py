"""From matches in a block to hits: which lines are kept, and which are matched by the pattern itself right away.

Whatever a block holds, the work and the memory that it costs are bounded:

* Of each pattern the first and the last ``KEEP`` lines of a block are kept and the others counted. Of a pattern whose
  first lines are all known only the last ones are, and where they are many, only ``KEEP_OF_FLOOD`` of every block but
  the final one.
* A form that may find more than its pattern hides no hit behind near misses: such lines are matched at once (after a
  look whether all of the pattern's literal texts are there, which is a tenth of the work), at most ``LOOKS_A_BLOCK``
  of a pattern, from both ends of the block. A hit among more near misses than that is missed, and a problem says so.
  Once most of ``KEEP`` lines were no near misses, the form is trusted: its lines are counted as they are, and matched
  only if they are kept to the end.
* hyperscan stops after ``MATCHES_A_BLOCK`` matches. The rest of such a block is searched in pieces of 64 KiB, for the
  first match of every pattern in each: a pattern that comes again within a piece is missed there, and its count is a
  lower bound.
* A match may take ``SECONDS_A_LINE``; a pattern that takes longer three times is given up.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from doctor.scan.blocks import Block
from doctor.scan.database import Database
from doctor.scan.engines import Found
from doctor.scan.lines import LINE_CHARS, BlockLines, RawLine

KEEP = 256
KEEP_OF_FLOOD = 32
LOOKS_A_BLOCK = 16 * 1024
MATCHES_A_BLOCK = 1 << 18
PIECE_BYTES = 64 * 1024
SECONDS_A_LINE = 0.25
_OVERRUNS = 3
_SAMPLE_REACH = 256 * 1024  # how far a dense pattern is searched for behind a near miss
_SAMPLE_LOOKS = 16


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
        lines: all lines in ``kept``.
        flooded: not every match was looked at.
    """

    block: int
    continues: bool
    read: int
    newlines: int
    head: list[str]
    tail: list[str]
    kept: dict[int, Kept]
    lines: Iterable[RawLine]
    flooded: bool


class Matcher:
    """Matches lines by the patterns themselves; shared by all threads."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.problems: dict[str, None] = {}
        self._overruns: Counter[int] = Counter()
        self._looks: Counter[int] = Counter()
        self._hits: Counter[int] = Counter()

    def match(self, number: int, text: str) -> Any:
        """The match, or None. A line that a progress bar wrote over and over is tried from its last writing back."""
        if self._overruns[number] >= _OVERRUNS:
            return None
        self._looks[number] += 1
        search = self.database.regex(number).search
        try:
            for part in reversed(text.split("\r")) if "\r" in text else (text,):
                found = search(part, timeout=SECONDS_A_LINE)
                if found is not None:
                    self._hits[number] += 1
                    return found
        except TimeoutError:
            self._overruns[number] += 1
            if self._overruns[number] == _OVERRUNS:
                self.note(f"pattern {self.database.patterns[number].key} takes too long and is given up")
        return None

    def trusts(self, number: int) -> bool:
        """Whether a line in which the form is found may be taken for a hit until it is shown."""
        hits = self._hits[number]
        return self.database.forms[number].exact or (hits >= KEEP and hits * 4 >= self._looks[number] * 3)

    def note(self, problem: str) -> None:
        self.problems.setdefault(problem)


class Collector:
    """Takes blocks; one for each thread.

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

    def take(self, block: Block) -> BlockHits:
        lines = BlockLines(block, self._context)
        with memoryview(lines.data) as view, view[: lines.size] as data:
            found, flooded = self._search(lines, data)
            marks = self._searcher.marks(data) if self._sampled else []
        kept = {}
        for number, ends in found.items():
            if self._sampled and self._database.patterns[number].dense:
                some = self._sample(lines, number, min(ends))
            else:
                ends.sort()
                some = self._keep(lines, number, ends, block.final)
            if some.count:
                kept[number] = some
        newlines = lines.number(marks)
        head, tail = lines.head(), lines.tail()
        return BlockHits(
            block.number, block.continues, block.read, newlines, head, tail, kept, lines.lines.values(), flooded
        )

    def _search(self, lines: BlockLines, data: memoryview) -> tuple[Found, bool]:
        found, stopped = self._searcher.search(data, MATCHES_A_BLOCK)
        if not stopped:
            return found, False
        once = self._database.searcher("once")
        # Matches of different patterns may come a little out of order: begin again a piece earlier.
        last = max(ends[-1] for ends in found.values())
        position = lines.data.rfind(b"\n", 0, max(last - PIECE_BYTES, 0)) + 1
        while position < lines.size:
            cut = min(position + PIECE_BYTES, lines.size)
            if cut < lines.size:
                cut = lines.data.rfind(b"\n", position, cut) + 1 or lines.data.find(b"\n", cut, lines.size) + 1
            cut = cut or lines.size
            piece, _ = once.search(data[position:cut], MATCHES_A_BLOCK)
            for number, ends in piece.items():
                found.setdefault(number, []).extend(end + position for end in ends)
            position = cut
        return found, True

    def _keep(self, lines: BlockLines, number: int, ends: list[int], final: bool) -> Kept:
        """The first lines, from the first on; then the last, from the last back."""
        now = not self._matcher.trusts(number)
        settled = self._settled[number]
        first: list[Candidate] = []
        last: list[Candidate] = []
        low, high = 0, len(ends)
        looks = LOOKS_A_BLOCK
        while low < high and len(first) < (0 if settled else KEEP) and looks > LOOKS_A_BLOCK // 2:
            start, stop = lines.bounds(ends[low])
            low = bisect_right(ends, stop, low, high)
            candidate = self._candidate(lines, number, start, stop, ends[low - 1], now)
            looks -= now
            if candidate is not None:
                first.append(candidate)
        wanted = KEEP_OF_FLOOD if settled and high > 2 * KEEP and not final else KEEP
        while low < high and len(last) < wanted and looks:
            end = ends[high - 1]
            start, stop = lines.bounds(end)
            high = bisect_right(ends, start, low, high)
            candidate = self._candidate(lines, number, start, stop, end, now)
            looks -= now
            if candidate is not None:
                last.append(candidate)
        if low < high and not looks:
            key = self._database.patterns[number].key
            self._matcher.note(f"pattern {key}: too many near misses; some lines were not looked at")
            high = low
        return Kept(len(first) + len(last) + lines.count(ends[low:high]), first + last[::-1])

    def _sample(self, lines: BlockLines, number: int, end: int) -> Kept:
        """The first line of a dense pattern. hyperscan reports one match a block; behind a near miss ``re`` goes on."""
        candidate = self._candidate(lines, number, *lines.bounds(end), end, now=True)
        if candidate is None:
            pattern, form = self._database.patterns[number], self._database.forms[number]
            search = re.compile(form.expression, re.IGNORECASE if pattern.ignore_case else 0).search
            reach = min(lines.size, end + _SAMPLE_REACH)
            for _ in range(_SAMPLE_LOOKS):
                line_end = lines.data.find(b"\n", end, reach)
                found = search(lines.data, line_end, reach) if line_end >= 0 else None
                if found is None:
                    break
                end = found.end()
                candidate = self._candidate(lines, number, *lines.bounds(end), end, now=True)
                if candidate is not None:
                    break
        return Kept() if candidate is None else Kept(1, [candidate])

    def _candidate(
        self, lines: BlockLines, number: int, start: int, stop: int, end: int, now: bool
    ) -> Candidate | None:
        """The line, for a match that ends at ``end``; a long one and one wanted ``now`` are matched. None: no match."""
        long = stop - start > LINE_CHARS
        if not now and not long:
            return Candidate(lines.line(start, stop))
        if not long:
            lower = lines.data[start:stop].lower()
            for text_of_all in self._database.forms[number].texts:
                if text_of_all not in lower:
                    return None
        text = lines.text(start, stop, end)
        match = self._matcher.match(number, text)
        if match is None:
            return None
        line = lines.long_line(start, stop, end, text, text.find(match[0])) if long else lines.line(start, stop)
        return Candidate(line, match.groupdict())
