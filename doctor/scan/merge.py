"""Puts the hits of blocks together in the order of the text: line numbers, neighbours across edges, what is kept."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from doctor.scan.collect import FLOOD, KEEP, OFTEN, BlockHits, Habits, Seen
from doctor.scan.lines import EDGE_LINES, BlockText

MEMORY_BYTES = 48 * 1024 * 1024
_LEAST_KEPT = 8
_NOISY_LOOKS = 4096
_TRUSTED_HITS = 64
_UNSURE = 2  # of lines that may be near misses, so many times as many are kept
Places = tuple[BlockText, list[int]]


@dataclass(slots=True)
class Hits:
    """Of one pattern so far: how many lines, those kept, and sums of what ``Seen`` tells."""

    count: int = 0
    first: list[Places] = field(default_factory=list)
    last: deque[Places] = field(default_factory=deque)
    in_first: int = 0
    in_last: int = 0
    sure: bool = True
    pieces: int = 0
    matches: int = 0
    looks: int = 0
    hits: int = 0


class Merger:
    """Takes the blocks' hits in the order of the blocks. Costs nothing a line.

    Args:
        dense: numbers of patterns that are sampled anyhow.

    Attributes:
        hits: by number of the pattern.
        keep: how many of the first and of the last lines of a pattern are kept.
        first, last: the first and the last lines.
        newlines: so far.
        flooded: the first line of each block that has more matches than were looked at.
    """

    def __init__(self, context: int, dense: frozenset[int] = frozenset()) -> None:
        self._dense = dense
        self.hits: dict[int, Hits] = {}
        self.keep = KEEP
        self.first: list[str] = []
        self.last: deque[str] = deque(maxlen=max(EDGE_LINES, context + 1))
        self.newlines = 0
        self.flooded: list[int] = []
        self._context = context
        self._bytes = 0
        self._waiting: list[BlockText] = []

    def add(self, block: BlockHits) -> None:
        for text in self._waiting:
            text.outer_after += tuple(block.head[: self._context - len(text.outer_after)])
        self._waiting = [text for text in self._waiting if len(text.outer_after) < self._context]
        if len(self.first) < EDGE_LINES:
            self.first += block.head[: EDGE_LINES - len(self.first)]
        if block.flooded:
            self.flooded.append(self.newlines + 1)
        text = block.text
        text.base = self.newlines + 1
        text.outer_before = tuple(self.last)
        for number, seen in block.seen.items():
            self._add(number, seen, text)
        if text.uses:
            self._bytes += text.weight
            self._waiting.append(text)
        if self._bytes > MEMORY_BYTES:
            self._sweep()
            while self._bytes > MEMORY_BYTES * 3 // 4 and self.keep > _LEAST_KEPT:
                self._halve()
                self._sweep()
        self.last.extend(block.tail)
        self.newlines += block.newlines

    def habits(self) -> Habits:
        """What the blocks so far show."""
        often, flooding, noisy, trusted = [], [], [], []
        for number, hits in self.hits.items():
            if number not in self._dense and hits.in_first >= self.keep and hits.matches >= OFTEN * hits.pieces:
                often.append(number)
                if hits.matches >= FLOOD * hits.pieces:
                    flooding.append(number)
            if hits.looks >= _NOISY_LOOKS and hits.hits * 64 < hits.looks:
                noisy.append(number)
            if hits.hits >= _TRUSTED_HITS and hits.hits * _UNSURE >= hits.looks:
                trusted.append(number)
        return Habits(frozenset(often), frozenset(flooding), frozenset(noisy), frozenset(trusted))

    def _add(self, number: int, seen: Seen, text: BlockText) -> None:
        hits = self.hits.get(number)
        if hits is None:
            hits = self.hits[number] = Hits()
        hits.count += seen.count
        hits.pieces += seen.pieces
        hits.matches += seen.matches
        hits.looks += seen.looks
        hits.hits += seen.hits
        hits.sure &= seen.sure
        ends = seen.ends
        room = self.keep - hits.in_first
        if ends and room > 0:
            hits.first.append((text, ends[:room]))
            hits.in_first += len(ends[:room])
            text.uses += 1
            ends = ends[room:]
        if ends:
            hits.last.append((text, ends))
            hits.in_last += len(ends)
            text.uses += 1
            self._drop(hits)

    def _drop(self, hits: Hits) -> None:
        """Lets go of what comes before the last lines."""
        wanted = self.keep * (1 if hits.sure else _UNSURE)
        while hits.in_last - len(hits.last[0][1]) >= wanted:
            text, ends = hits.last.popleft()
            hits.in_last -= len(ends)
            text.uses -= 1
            if not text.uses:
                self._bytes -= text.weight

    def _halve(self) -> None:
        """Keeps half as many lines of every pattern."""
        self.keep //= 2
        for hits in self.hits.values():
            room = self.keep
            first = []
            for text, ends in hits.first:
                if room > 0:
                    first.append((text, ends[:room]))
                room -= len(ends)
            hits.first, hits.in_first = first, sum(len(ends) for _, ends in first)
            room = self.keep * (1 if hits.sure else _UNSURE)
            last: deque[Places] = deque()
            for text, ends in reversed(hits.last):
                if room > 0:
                    last.appendleft((text, ends[-room:]))
                room -= len(ends)
            hits.last, hits.in_last = last, sum(len(ends) for _, ends in last)

    def _sweep(self) -> None:
        """Drops the parts of blocks that no pattern needs any more."""
        needed: dict[int, tuple[BlockText, set[int]]] = {}
        for hits in self.hits.values():
            for text, ends in (*hits.first, *hits.last):
                text.uses = 0
                needed.setdefault(id(text), (text, set()))[1].update(ends)
        for hits in self.hits.values():
            for text, _ in (*hits.first, *hits.last):
                text.uses += 1
        self._bytes = 0
        for text, ends_needed in needed.values():
            text.forget(ends_needed)
            self._bytes += text.weight
