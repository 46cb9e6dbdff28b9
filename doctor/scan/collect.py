"""From matches in a block to hits: what is searched how closely, and which lines are kept.

Whatever a log holds, the work and the memory that it costs are bounded. A match that reaches Python costs about a
microsecond, and while one thread handles it no other thread can handle another: a pattern that hits every line would
make the whole pass twenty times slower. So, of a big input:

* Dense patterns are sampled: searched for in the first ``PIECE_BYTES`` of every block, of which each gives one line at
  most; in full in the first ``FULL_BLOCKS`` blocks and in the final one.
* A pattern whose first ``KEEP`` lines are known, and that comes ``FLOOD`` times and more in each piece of text in
  which it comes at all, is sampled from then on, except in the final block: a piece is first searched for the first
  match of every pattern, and only if there is one of another pattern, for all matches of all.
* Of any pattern the first and the last ``KEEP`` lines of a block are kept and the others counted.
* A form that may find more than its pattern hides no hit behind near misses: such lines are matched at once (after a
  look whether all of the pattern's literal texts are there, which is a tenth of the work), at most ``LOOKS_A_BLOCK``
  of a pattern, from both ends of the block. A hit among more near misses than that is missed, and a problem says so.
  Once most of ``KEEP`` lines were no near misses, the form is trusted: its lines are counted as they are, and matched
  only if they are kept to the end.
* Of a piece with more than ``MATCHES_A_PIECE`` matches those up to there are seen and the first of every pattern.
* A match may take ``SECONDS_A_LINE``; a pattern that takes longer three times is given up.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from doctor.scan.blocks import Block
from doctor.scan.database import Database
from doctor.scan.engines import Found, Searcher
from doctor.scan.lines import LINE_CHARS, BlockLines, RawLine

KEEP = 256
FLOOD = 2
FULL_BLOCKS = 4
PIECE_BYTES = 128 * 1024
MATCHES_A_PIECE = 1 << 15
LOOKS_A_BLOCK = 16 * 1024
SECONDS_A_LINE = 0.25
_OVERRUNS = 3
_SAMPLE_REACH = 256 * 1024  # how far a sampled pattern is searched for behind a near miss
_SAMPLE_LOOKS = 16

Places = list[tuple[int, list[int]]]  # numbers of patterns, and where their matches end


@dataclass(frozen=True, slots=True)
class Habits:
    """What earlier blocks have shown of patterns (by number).

    Attributes:
        flooding: to be sampled.
        noisy: their forms find hardly anything but near misses.
        trusted: where the form is, the pattern matches.
    """

    flooding: frozenset[int] = frozenset()
    noisy: frozenset[int] = frozenset()
    trusted: frozenset[int] = frozenset()


@dataclass(slots=True)
class Candidate:
    """A line and, once it was matched, what was captured."""

    line: RawLine
    captures: dict[str, str | None] | None = None


@dataclass(slots=True)
class Kept:
    """Of one pattern in one block.

    Attributes:
        count: lines.
        lines: the first and the last of them.
        pieces, matches: where the form was found, and how often; only where all matches were looked for.
        looks, hits: lines matched at once, and how many of them the pattern matches.
    """

    count: int = 0
    lines: list[Candidate] = field(default_factory=list)
    pieces: int = 0
    matches: int = 0
    looks: int = 0
    hits: int = 0


@dataclass(slots=True)
class BlockHits:
    """What one block holds.

    Attributes:
        newlines: how many.
        head, tail: its first and last lines (of those that begin in it).
        kept: by number of the pattern.
        lines: all lines in ``kept``.
        flooded: not every match was looked at although no pattern is sampled.
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

    def match(self, number: int, text: str) -> Any:
        """The match, or None. A line that a progress bar wrote over and over is tried from its last writing back."""
        if self._overruns[number] >= _OVERRUNS:
            return None
        search = self.database.regex(number).search
        try:
            for part in reversed(text.split("\r")) if "\r" in text else (text,):
                found = search(part, timeout=SECONDS_A_LINE)
                if found is not None:
                    return found
        except TimeoutError:
            self._overruns[number] += 1
            if self._overruns[number] == _OVERRUNS:
                self.note(f"pattern {self.database.patterns[number].key} takes too long and is given up")
        return None

    def note(self, problem: str) -> None:
        self.problems.setdefault(problem)


class _Found:
    """What was found in a block so far.

    Attributes:
        kept: by number of the pattern; its lines are chosen when all pieces are searched.
        ends: where the matches end.
        samples: of sampled patterns, where the first match ends.
    """

    def __init__(self) -> None:
        self.kept: dict[int, Kept] = {}
        self.ends: dict[int, list[int]] = {}
        self.samples: dict[int, int] = {}
        self.flooded = False

    def add(self, result: tuple[Places, bool], start: int) -> None:
        places, stopped = result
        self.flooded |= stopped
        for number, ends in places:
            kept = self.kept.get(number)
            if kept is None:
                kept, self.ends[number] = self.kept.setdefault(number, Kept()), []
            kept.pieces += 1
            kept.matches += len(ends)
            self.ends[number] += [end + start for end in ends]

    def sample(self, result: tuple[Places, bool], start: int) -> None:
        for number, ends in result[0]:
            self.samples.setdefault(number, min(ends) + start)


class Collector:
    """Takes blocks; one for each thread."""

    def __init__(self, matcher: Matcher, *, sampled: bool, context: int) -> None:
        self._matcher = matcher
        self._database = matcher.database
        self._sampled = sampled
        self._context = context
        self._rare = self._database.searcher("rare")
        self._dense = self._database.searcher("dense") if self._database.has_dense else None

    def take(self, block: Block, habits: Habits) -> BlockHits:
        lines = BlockLines(block, self._context)
        whole = not self._sampled or block.final
        flooding = frozenset() if whole else habits.flooding
        found = _Found()
        with memoryview(lines.data) as view, view[: lines.size] as data:
            for start, stop in lines.pieces(PIECE_BYTES):
                piece = data[start:stop]
                if not flooding or self._closer(piece, start, found, flooding, habits.noisy):
                    found.add(self._search(self._rare, piece), start)
                if self._dense is None:
                    continue
                if whole or block.number < FULL_BLOCKS:
                    found.add(self._search(self._dense, piece), start)
                elif start == 0:
                    found.sample(self._search(self._dense, piece), start)
            marks = self._rare.marks(data) if self._sampled else []
        for number, ends in found.ends.items():
            self._keep(lines, number, sorted(ends), found.kept[number], now=not self._trusts(number, habits))
        for number, end in found.samples.items():
            if number not in found.kept:
                found.kept[number] = self._sample(lines, number, end)
        newlines = lines.number(marks)
        return BlockHits(
            block.number,
            block.continues,
            block.read,
            newlines,
            lines.head(),
            lines.tail(),
            found.kept,
            lines.lines.values(),
            found.flooded,
        )

    def _search(self, searcher: Searcher, data: memoryview) -> tuple[Places, bool]:
        """Patterns and where their matches end; also whether there are more matches than were looked for."""
        found, stopped = searcher.search(data, MATCHES_A_PIECE)
        places = self._expand(found)
        if stopped and searcher is self._rare:
            places += self._expand(self._database.searcher("once").search(data, MATCHES_A_PIECE)[0])
        return places, stopped

    def _expand(self, found: Found) -> Places:
        twins = self._database.twins
        return [(number, ends) for leader, ends in found.items() for number in twins[leader]]

    def _closer(
        self, data: memoryview, start: int, found: _Found, flooding: frozenset[int], noisy: frozenset[int]
    ) -> bool:
        """Whether anything but sampled patterns is in a piece; if not, the first match of each of those is taken."""
        places = self._expand(self._database.searcher("once").search(data, MATCHES_A_PIECE)[0])
        others = [number for number, _ in places if number not in flooding]
        if others and not (noisy.issuperset(others) and not self._possible(others, data)):
            return True
        found.sample(([place for place in places if place[0] in flooding], False), start)
        return False

    def _possible(self, numbers: list[int], data: memoryview) -> bool:
        """Whether all literal texts of one of the patterns are in the data."""
        lower = bytes(data).lower()
        return any(all(text in lower for text in self._database.forms[number].texts) for number in numbers)

    def _trusts(self, number: int, habits: Habits) -> bool:
        """Whether a line in which the form is found may be taken for a hit until it is shown."""
        return self._database.forms[number].exact or number in habits.trusted

    def _keep(self, lines: BlockLines, number: int, ends: list[int], kept: Kept, *, now: bool) -> None:
        """The first lines, from the first on; then the last, from the last back."""
        first: list[Candidate] = []
        last: list[Candidate] = []
        low, high = 0, len(ends)
        while low < high and len(first) < KEEP and kept.looks < LOOKS_A_BLOCK // 2:
            start, stop = lines.bounds(ends[low])
            low = bisect_right(ends, stop, low, high)
            candidate = self._candidate(lines, number, start, stop, ends[low - 1], now)
            kept.looks += now
            if candidate is not None:
                first.append(candidate)
        while low < high and len(last) < KEEP and kept.looks < LOOKS_A_BLOCK:
            end = ends[high - 1]
            start, stop = lines.bounds(end)
            high = bisect_right(ends, start, low, high)
            candidate = self._candidate(lines, number, start, stop, end, now)
            kept.looks += now
            if candidate is not None:
                last.append(candidate)
        kept.lines = first + last[::-1]
        kept.count = len(kept.lines)
        kept.hits = kept.count if now else 0
        if kept.looks < LOOKS_A_BLOCK:
            kept.count += lines.count(ends[low:high])
        elif low < high:
            key = self._database.patterns[number].key
            self._matcher.note(f"pattern {key}: too many near misses; some lines were not looked at")

    def _sample(self, lines: BlockLines, number: int, end: int) -> Kept:
        """The first line of a sampled pattern. Behind a near miss ``re`` goes on, as far as it reaches."""
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
