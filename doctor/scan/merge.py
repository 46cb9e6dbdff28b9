"""Puts the hits of blocks together in the order of the text: line numbers, neighbours across edges, what is kept."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from doctor.scan.collect import FLOOD, KEEP, BlockHits, Candidate, Habits, Kept
from doctor.scan.lines import CONTEXT_CHARS, EDGE_LINES, RawLine

MEMORY_BYTES = 48 * 1024 * 1024
_LEAST_KEPT = 8
_NOISY_LOOKS = 4096


@dataclass(slots=True)
class Hits:
    """Of one pattern so far: how many lines, the number of the latest, those kept, and sums of what ``Kept`` tells."""

    count: int = 0
    latest: int = 0
    first: list[Candidate] = field(default_factory=list)
    last: deque[Candidate] = field(default_factory=deque)
    pieces: int = 0
    matches: int = 0
    looks: int = 0
    hits: int = 0


class Merger:
    """Takes the blocks' hits in the order of the blocks. Costs nothing a line.

    Attributes:
        hits: by number of the pattern.
        first, last: the first and the last lines.
        newlines: so far.
        flooded: the first line of each block that has more matches than were looked at.
    """

    def __init__(self, context: int) -> None:
        self.hits: dict[int, Hits] = {}
        self.first: list[str] = []
        self.last: deque[str] = deque(maxlen=max(EDGE_LINES, context + 1))
        self.newlines = 0
        self.flooded: list[int] = []
        self._context = context
        self._keep = KEEP
        self._bytes = 0
        self._waiting: list[RawLine] = []

    def add(self, block: BlockHits) -> None:
        self._waiting = [line for line in self._waiting if self._complete(line, block.head)]
        if len(self.first) < EDGE_LINES:
            self.first += block.head[: EDGE_LINES - len(self.first)]
        if block.flooded:
            self.flooded.append(self.newlines + 1)
        self._place(block)
        for number, kept in block.kept.items():
            self._add(number, kept)
        while self._bytes > MEMORY_BYTES and self._keep > _LEAST_KEPT:
            self._forget()
        self.last.extend(block.tail)
        self.newlines += block.newlines

    def habits(self) -> Habits:
        """What the blocks so far show."""
        flooding, noisy, trusted = [], [], []
        for number, hits in self.hits.items():
            if len(hits.first) >= self._keep and hits.matches >= FLOOD * hits.pieces:
                flooding.append(number)
            if hits.looks >= _NOISY_LOOKS and hits.hits * 64 < hits.looks:
                noisy.append(number)
            if hits.hits >= KEEP and hits.hits * 4 >= hits.looks * 3:
                trusted.append(number)
        return Habits(frozenset(flooding), frozenset(noisy), frozenset(trusted))

    def _complete(self, line: RawLine, following: list[str]) -> bool:
        """Adds the lines after ``line`` that are known now; whether some are still missing."""
        missing = self._context - line.lines_after - len(line.outer_after)
        line.outer_after += tuple(text[:CONTEXT_CHARS] for text in following[:missing])
        return len(following) < missing

    def _place(self, block: BlockHits) -> None:
        """Gives the block's lines their numbers in the whole text, and the neighbours that other blocks hold."""
        for line in block.lines:
            missing = self._context - line.lines_before
            if missing > 0:
                known = list(self.last)
                if block.continues and line.number == 0:
                    known = known[:-1]  # the last line that began is this one
                line.outer_before = tuple(text[:CONTEXT_CHARS] for text in known[-missing:])
            line.number += self.newlines + 1
            if line.lines_after < self._context:
                self._waiting.append(line)

    def _add(self, number: int, kept: Kept) -> None:
        hits = self.hits.get(number)
        if hits is None:
            hits = self.hits[number] = Hits()
        hits.count += kept.count
        hits.pieces += kept.pieces
        hits.matches += kept.matches
        hits.looks += kept.looks
        hits.hits += kept.hits
        candidates = kept.lines
        if candidates and hits.latest == candidates[0].line.number:
            del candidates[0]  # a long line, seen in two of its pieces
            hits.count -= 1
        if not candidates:
            return
        hits.latest = candidates[-1].line.number
        self._bytes += sum(candidate.line.weight for candidate in candidates)
        room = self._keep - len(hits.first)
        if room > 0:
            hits.first += candidates[:room]
            del candidates[:room]
        hits.last += candidates
        while len(hits.last) > self._keep:
            self._bytes -= hits.last.popleft().line.weight

    def _forget(self) -> None:
        """Halves what is kept of every pattern."""
        self._keep //= 2
        self._bytes = 0
        for hits in self.hits.values():
            if len(hits.first) > self._keep:
                hits.last.extendleft(reversed(hits.first[self._keep :]))
                del hits.first[self._keep :]
            while len(hits.last) > self._keep:
                hits.last.popleft()
            self._bytes += sum(candidate.line.weight for candidate in (*hits.first, *hits.last))
