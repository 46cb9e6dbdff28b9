"""One pass over a log: every pattern, in large blocks, with constant memory, on several cores.

hyperscan searches a block for all patterns at once; only lines that it reports are decoded and matched by the pattern
itself. Up to ``FULL_BYTES`` every match counts; of a bigger input dense patterns are sampled, once a block.
"""

from __future__ import annotations

import gc
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from doctor.cores import cores
from doctor.scan.blocks import BLOCK_BYTES, Blocks, read_head
from doctor.scan.collect import BlockHits, Collector, Habits, Matcher
from doctor.scan.database import Database
from doctor.scan.lines import EDGE_LINES, LINE_CHARS, BlockText, around
from doctor.scan.merge import Hits, Merger
from doctor.scan.quoted import own_words

_Lines = dict[tuple[int, int, int], "Line"]
Captures = dict[str, str | None]

FULL_BYTES = 8 * 1024 * 1024
MOST_WORKERS = 8
_EPOCH = 8  # blocks; what they show of patterns is used two epochs later, so that threads don't change the outcome
_SNIFF_BYTES = 64 * 1024


@dataclass(slots=True)
class Line:
    """A line of the input, as text without colour codes.

    Attributes:
        number: 1-based.
        text: without its line end; of a line over 8 KiB, what is around the match. Carriage returns within it part
            what was written over.
        before, after: its neighbours, each cut at 500 characters.
    """

    number: int
    text: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(slots=True)
class Hit:
    """A pattern that matches a line; ``captures`` are its named groups (None: took no part)."""

    key: str
    line: Line
    captures: dict[str, str | None]


@dataclass(slots=True)
class Scan:
    """What a pass found.

    Attributes:
        hits: by line, then in the order of the patterns; of each pattern the first and last 128 lines.
        lines, bytes: of the input.
        sampled: of dense patterns not every line was looked at.
        counts: by key, how many lines there are, with those not in ``hits``; of sampled patterns (dense ones, and
            those that flood a big input) how many were looked at.
        first, last: the first and last five lines.
        binary: does not look like text.
        problems: what went wrong, in sentences.
    """

    hits: list[Hit] = field(default_factory=list)
    lines: int = 0
    bytes: int = 0
    sampled: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    first: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    ends_with_newline: bool = False
    binary: bool = False
    problems: list[str] = field(default_factory=list)


def scan(
    stream: BinaryIO,
    database: Database,
    *,
    size: int | None = None,
    workers: int | None = None,
    context: int = 3,
    progress: Callable[[int], None] | None = None,
) -> Scan:
    """Search a stream, to its end, for all patterns of the database.

    Args:
        size: bytes of the stream, where known; only saves a little.
        workers: threads; None: one a core, at most 8.
        context: neighbours of a hit's line that are kept on either side.
        progress: told how many bytes are done, from any thread, one call at a time.

    Raises:
        OSError: nothing at all could be read. A later error ends the pass and is in ``problems``.
    """
    if size is not None and size > FULL_BYTES:
        head, ended = read_head(stream, _SNIFF_BYTES)
    else:
        head, ended = read_head(stream, FULL_BYTES + 1)
    small = ended and len(head) <= FULL_BYTES
    threads = 1 if small else max(1, workers or min(cores(), MOST_WORKERS))
    block_bytes = max(min(BLOCK_BYTES, len(head) + 1), 2 * _SNIFF_BYTES) if small else BLOCK_BYTES
    blocks = Blocks(head, None if ended else stream, block_bytes)
    job = _Pass(database, blocks, not small, context, progress)
    with _no_collection():
        job.run(threads)
        result = job.result()
    result.binary = _looks_binary(head[:_SNIFF_BYTES])
    return result


def scan_text(text: str, database: Database, *, context: int = 3) -> Scan:
    """Search a text in full: for the examples of rules."""
    data = text.encode("utf-8", "replace")
    block_bytes = max(min(BLOCK_BYTES, len(data) + 1), 2 * _SNIFF_BYTES)
    job = _Pass(database, Blocks(data, None, block_bytes), False, context, None)
    job.run(1)
    return job.result()


class _Pass:
    """One pass: workers that take blocks, and the merging of what they found, in order, by whoever is there first."""

    def __init__(
        self,
        database: Database,
        blocks: Blocks,
        sampled: bool,
        context: int,
        progress: Callable[[int], None] | None,
    ) -> None:
        self._database = database
        self._blocks = blocks
        self._sampled = sampled
        self._context = context
        self._progress = progress
        self._matcher = Matcher(database)
        self._merger = Merger(context, database.dense)
        self._habits: list[Habits] = []
        self._done: dict[int, BlockHits] = {}
        self._next = 0
        self._turn = threading.Condition()
        self._error: BaseException | None = None

    def run(self, threads: int) -> None:
        others = [threading.Thread(target=self._work, daemon=True) for _ in range(threads - 1)]
        for thread in others:
            thread.start()
        self._work()
        for thread in others:
            thread.join()
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            collector = Collector(self._matcher, sampled=self._sampled, context=self._context)
            buffer = bytearray(self._blocks.block_bytes)
            while self._error is None and (block := self._blocks.take(buffer)) is not None:
                with self._turn:
                    self._turn.wait_for(lambda: block.number - self._next < _EPOCH or self._error is not None)
                    epoch = block.number // _EPOCH
                    habits = self._habits[epoch - 2] if epoch >= 2 else Habits()
                self._hand_in(collector.take(block, habits))
        except BaseException as error:  # an interrupt too: the other workers have to end
            with self._turn:
                self._error = self._error or error
                self._turn.notify_all()

    def _hand_in(self, hits: BlockHits) -> None:
        with self._turn:
            self._done[hits.block] = hits
            while self._next in self._done:
                ready = self._done.pop(self._next)
                self._merger.add(ready)
                self._next += 1
                if self._next % _EPOCH == 0:
                    self._habits.append(self._merger.habits())
                if self._progress is not None:
                    self._progress(ready.read)
            self._turn.notify_all()

    def result(self) -> Scan:
        merger, blocks = self._merger, self._blocks
        whole = not blocks.last_byte or blocks.last_byte == b"\n"
        scan = Scan(
            lines=merger.newlines + (not whole),
            bytes=blocks.read,
            sampled=self._sampled and bool(self._database.dense),
            first=tuple(merger.first),
            last=tuple(merger.last)[-EDGE_LINES:],
            ends_with_newline=blocks.last_byte == b"\n",
        )
        lines: _Lines = {}
        found: list[tuple[int, int, Hit]] = []
        for number, hits in merger.hits.items():
            key = self._database.patterns[number].key
            chosen = self._matched(number, hits, lines)
            found += [(line.number, number, Hit(key, line, captures)) for line, captures in chosen]
            if hits.count:
                scan.counts[key] = scan.counts.get(key, 0) + hits.count
        found.sort(key=lambda entry: entry[:2])
        scan.hits = [hit for _, _, hit in found]
        scan.problems = [*self._database.problems, *self._matcher.problems]
        if merger.flooded:
            scan.problems.append(
                f"too many matches from line {merger.flooded[0]} on: of some patterns not every line was looked at"
            )
        if blocks.problem:
            scan.problems.append(blocks.problem)
        return scan

    def _matched(self, number: int, hits: Hits, lines: _Lines) -> Iterator[tuple[Line, Captures]]:
        """The first lines of a pattern, and the last ones, with their captures."""
        captures = not hits.sure or "(?P<" in self._database.patterns[number].pattern
        first = [self._match(number, text, end, lines, captures) for text, ends in hits.first for end in ends]
        last: list[tuple[Line, Captures] | None] = []
        for text, ends in reversed(hits.last):
            for end in reversed(ends):
                if len(last) < self._merger.keep:
                    found = self._match(number, text, end, lines, captures)
                    last += [found] if found is not None else []
        latest = 0
        for found in (*first, *reversed(last)):
            if found is None or found[0].number == latest:  # a long line, seen in two of its parts
                hits.count -= 1
                continue
            latest = found[0].number
            yield found

    def _match(
        self, number: int, text: BlockText, end: int, lines: _Lines, captures: bool
    ) -> tuple[Line, Captures] | None:
        """The line with the match that ends at ``end``. Without ``captures`` it is known to match, and has none."""
        region = text.region_at(end)
        index = region.line_at(end - region.offset)
        line = lines.get((region.offset, index, id(text)))
        if line is None:
            neighbours = text.neighbours(region, index, self._context)
            line = Line(text.base + region.number + index, region.lines()[index], *neighbours)
            lines[region.offset, index, id(text)] = line
        if len(line.text) <= LINE_CHARS:
            said = own_words(line.text)
            if not captures and said is line.text:
                return line, {}
            match = self._matcher.match(number, said)
            return None if match is None else (line, match.groupdict())
        whole = own_words(region.near(index, end - region.offset))
        match = self._matcher.match(number, whole)
        if match is None:
            return None
        # Of a long line each match shows another part.
        return Line(line.number, around(whole, whole.find(match[0])), line.before, line.after), match.groupdict()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without the cyclic garbage collector: nearly all that a pass makes it keeps, and has no cycles."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _looks_binary(head: bytes) -> bool:
    """Whether the beginning is not text. UTF-16 is text, and so is what follows the hole of a log cut while open."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    head = head.lstrip(b"\0")
    if not head:
        return False
    nuls = [head[parity::2].count(0) for parity in (0, 1)]
    if max(nuls) > len(head) // 5 and min(nuls) < max(nuls) // 8:
        return False
    undecodable = head.decode("utf-8", "replace").count("\ufffd")
    strange = len(re.findall(rb"[\x01-\x06\x0e-\x1a]", head))
    return sum(nuls) + undecodable + strange > len(head) // 20
