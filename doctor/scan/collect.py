"""From matches in a block to hits: what is searched how closely, and which lines are kept.

Whatever a log holds, the work and the memory that it costs are bounded. A match that reaches Python costs about a
microsecond, and while one thread handles it no other thread can handle another: a pattern that hits every line would
make the whole pass twenty times slower. So, of a big input:

* Dense patterns are sampled: searched for in the first ``PIECE_BYTES`` of every block, of which each gives one line at
  most; in full in the first ``FULL_BLOCKS`` blocks and in the final one.
* A pattern whose first ``KEEP`` lines are known, and that comes ``FLOOD`` times and more in each piece of text in
  which it comes at all, is sampled from then on, except in the final block. So that its matches don't reach Python, a
  piece is first searched for the first match of every pattern; only if there is one of a pattern that does not come
  often (``OFTEN`` times and more in each piece), it is searched for all matches of all patterns.
* Of any pattern the first and the last ``KEEP`` lines of a block are kept and the others counted.
* A form that may find more than its pattern hides no hit behind near misses: such lines are matched at once (after a
  look whether all of the pattern's literal texts are there, which is a tenth of the work), at most ``LOOKS_A_BLOCK``
  of a pattern, from both ends of the block. A hit among more near misses than that is missed, and a problem says so.
  Where none of the first ``PROBE`` lines of a block was a near miss, or hardly one in the blocks before, the form is
  trusted: its lines are counted as they are, and matched only if they are kept to the end.
* Of a piece with more than ``MATCHES_A_PIECE`` matches those up to there are seen and the first of every pattern.
* A match may take ``SECONDS_A_LINE``; a pattern that takes longer three times is given up.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from doctor.scan.blocks import Block
from doctor.scan.database import Database
from doctor.scan.engines import Found, Searcher
from doctor.scan.lines import LINE_CHARS, BlockLines, BlockText

KEEP = 128
OFTEN = 2
FLOOD = 24
PROBE = 16
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
        often: where nothing else is, their first lines are enough.
        flooding: of those, the ones to be sampled everywhere.
        noisy: their forms find hardly anything but near misses.
        trusted: where the form is, the pattern matches.
    """

    often: frozenset[int] = frozenset()
    flooding: frozenset[int] = frozenset()
    noisy: frozenset[int] = frozenset()
    trusted: frozenset[int] = frozenset()


@dataclass(slots=True)
class Seen:
    """Of one pattern in one block.

    Attributes:
        count: lines.
        ends: in the first and the last of them, where a match ends.
        sure: these lines are known to match.
        pieces, matches: where the form was found, and how often; only where all matches were looked for.
        looks, hits: lines matched at once, and how many of them the pattern matches.
    """

    count: int = 0
    ends: list[int] = field(default_factory=list)
    sure: bool = True
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
        seen: by number of the pattern.
        text: the lines in ``seen``.
        flooded: not every match was looked at although no pattern is sampled.
    """

    block: int
    read: int
    newlines: int
    head: list[str]
    tail: list[str]
    seen: dict[int, Seen]
    text: BlockText
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
        try:
            search = self.database.regex(number).search
            for part in reversed(text.split("\r")) if "\r" in text else (text,):
                found = search(part, timeout=SECONDS_A_LINE)
                if found is not None:
                    return found
        except TimeoutError:
            self._overruns[number] += 1
            if self._overruns[number] == _OVERRUNS:
                self.note(f"pattern {self.database.patterns[number].key} takes too long and is given up")
        except re.error as error:  # compiled only now: of two thousand patterns a log meets a hundred
            self._overruns[number] = _OVERRUNS
            self.note(f"pattern {self.database.patterns[number].key} does not parse and is given up: {error}")
        return None

    def note(self, problem: str) -> None:
        self.problems.setdefault(problem)


class _Found:
    """Matches in a block so far.

    Attributes:
        seen: by number of the pattern; which lines are kept is decided when all pieces are searched.
        ends: where the matches end.
        samples: of sampled patterns, where the first match ends.
    """

    def __init__(self, sampled: frozenset[int]) -> None:
        self._sampled = sampled
        self.seen: dict[int, Seen] = {}
        self.ends: dict[int, list[int]] = {}
        self.samples: dict[int, int] = {}
        self.flooded = False

    def add(self, places: Places, start: int) -> None:
        for number, ends in places:
            if number in self._sampled:
                self.samples.setdefault(number, min(ends) + start)
                continue
            if number not in self.seen:
                self.seen[number], self.ends[number] = Seen(), []
            self.ends[number] += [end + start for end in ends]

    def sample(self, places: Places, start: int) -> None:
        for number, ends in places:
            self.samples.setdefault(number, min(ends) + start)


class Collector:
    """Takes blocks; one for each thread."""

    def __init__(self, matcher: Matcher, *, sampled: bool, context: int) -> None:
        self._matcher = matcher
        self._database = matcher.database
        self._sampled = sampled
        self._context = context
        self._rare = self._database.searcher("rare")

    def take(self, block: Block, habits: Habits) -> BlockHits:
        lines = BlockLines(block, self._context)
        whole = not self._sampled or block.final
        flooding = frozenset() if whole else habits.flooding
        found = _Found(flooding)
        with memoryview(lines.data) as view, view[: lines.size] as data:
            for start, stop in lines.pieces(PIECE_BYTES) if flooding else [(0, lines.size)]:
                if not flooding or self._closer(data[start:stop], start, found, habits):
                    self._search(self._rare, lines, data, start, stop, found)
            if self._database.dense:
                if whole or block.number < FULL_BLOCKS:
                    self._search(self._database.searcher("dense"), lines, data, 0, lines.size, found)
                else:
                    window = data[: next(lines.pieces(PIECE_BYTES))[1]]
                    found.sample(self._expand(self._database.searcher("sample").search(window, MATCHES_A_PIECE)[0]), 0)
            marks = self._rare.marks(data) if self._sampled else []
        seen = found.seen
        for number, ends in found.ends.items():
            self._choose(lines, number, sorted(ends), seen[number], habits)
        for number, end in found.samples.items():
            if number not in seen:
                seen[number] = self._sample(lines, number, end, habits)
        regions, newlines = lines.regions(sorted({end for each in seen.values() for end in each.ends}), marks)
        text = BlockText(regions, block.continues)
        return BlockHits(block.number, block.read, newlines, lines.head(), lines.tail(), seen, text, found.flooded)

    def _search(
        self, searcher: Searcher, lines: BlockLines, data: memoryview, start: int, stop: int, into: _Found
    ) -> None:
        """All matches in ``data[start:stop]``; where there are too many, some in each piece and the first of all."""
        found, stopped = searcher.search(data[start:stop], 4 * MATCHES_A_PIECE)
        if not stopped:
            into.add(self._expand(found), start)
            return
        for begin, end in lines.pieces(PIECE_BYTES, start, stop):
            found, stopped = searcher.search(data[begin:end], MATCHES_A_PIECE)
            into.add(self._expand(found), begin)
            into.flooded |= stopped
            if stopped and searcher is self._rare:
                first = self._database.searcher("once").search(data[begin:end], MATCHES_A_PIECE)[0]
                into.add(self._expand(first), begin)

    def _expand(self, found: Found) -> Places:
        twins = self._database.twins
        return [(number, ends) for leader, ends in found.items() for number in twins[leader]]

    def _closer(self, data: memoryview, start: int, found: _Found, habits: Habits) -> bool:
        """Whether anything but patterns that come often is in a piece; if not, the first match of each is taken."""
        places = self._expand(self._database.searcher("once").search(data, MATCHES_A_PIECE)[0])
        others = [number for number, _ in places if number not in habits.often]
        if others and not (habits.noisy.issuperset(others) and not self._possible(others, data)):
            return True
        found.sample([place for place in places if place[0] in habits.often], start)
        return False

    def _possible(self, numbers: list[int], data: memoryview) -> bool:
        """Whether all literal texts of one of the patterns are in the data."""
        lower = bytes(data).lower()
        return any(all(text in lower for text in self._database.forms[number].texts) for number in numbers)

    def _choose(self, lines: BlockLines, number: int, ends: list[int], seen: Seen, habits: Habits) -> None:
        """Which lines are kept: the first, from the first on; then the last, from the last back."""
        seen.matches = len(ends)
        seen.pieces = len({end // PIECE_BYTES for end in ends})
        ends = lines.distinct(ends)
        seen.sure = self._database.forms[number].exact
        if not seen.sure and number not in habits.trusted:
            probe = ends[:PROBE]
            matching = [end for end in probe if self._matches(lines, number, end, seen)]
            seen.hits = len(matching)
            if len(ends) <= PROBE or len(matching) < PROBE:
                self._look(lines, number, ends[PROBE:], seen, matching)
                return
        seen.count = len(ends)
        seen.ends = ends if len(ends) <= 2 * KEEP else ends[:KEEP] + ends[-KEEP:]

    def _look(self, lines: BlockLines, number: int, ends: list[int], seen: Seen, first: list[int]) -> None:
        """Chooses lines that the pattern matches, among near misses; ``first`` are known to be."""
        last: list[int] = []
        low, high = 0, len(ends)
        while low < high and len(first) < KEEP and seen.looks < LOOKS_A_BLOCK // 2:
            if self._matches(lines, number, ends[low], seen):
                first.append(ends[low])
            low += 1
        while low < high and len(last) < KEEP and seen.looks < LOOKS_A_BLOCK:
            high -= 1
            if self._matches(lines, number, ends[high], seen):
                last.append(ends[high])
        seen.sure = True
        seen.ends = first + last[::-1]
        seen.hits = seen.count = len(seen.ends)
        if seen.looks < LOOKS_A_BLOCK:
            seen.count += high - low
        elif low < high:
            key = self._database.patterns[number].key
            self._matcher.note(f"pattern {key}: too many near misses; some lines were not looked at")

    def _sample(self, lines: BlockLines, number: int, end: int, habits: Habits) -> Seen:
        """The first line of a sampled pattern. Behind a near miss ``re`` goes on, as far as it reaches."""
        form = self._database.forms[number]
        if form.exact or number in habits.trusted:
            return Seen(1, [end], form.exact)
        seen = Seen()
        if not self._matches(lines, number, end, seen):
            flags = re.IGNORECASE if self._database.patterns[number].ignore_case else 0
            search = re.compile(form.expression, flags).search
            reach = min(lines.size, end + _SAMPLE_REACH)
            for _ in range(_SAMPLE_LOOKS):
                line_end = lines.data.find(b"\n", end, reach)
                found = search(lines.data, line_end, reach) if line_end >= 0 else None
                if found is None:
                    return seen
                end = found.end()
                if self._matches(lines, number, end, seen):
                    break
            else:
                return seen
        seen.count = seen.hits = 1
        seen.ends = [end]
        return seen

    def _matches(self, lines: BlockLines, number: int, end: int, seen: Seen) -> bool:
        """Whether the pattern itself matches the line in which its form was found."""
        start, stop = lines.bounds(end)
        if stop - start <= LINE_CHARS:
            lower = lines.data[start:stop].lower()
            for text in self._database.forms[number].texts:
                if text not in lower:
                    return False
        seen.looks += 1
        return self._matcher.match(number, lines.text(start, stop, end)) is not None
