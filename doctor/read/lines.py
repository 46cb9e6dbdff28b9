"""Which line of the file a line of the unwrapped text comes from.

Where lines were joined or split on unwrapping, the text's own line numbers are not those of the file. A map keeps them
in a hundred bytes or so for a block of text, so it stays small however long the log is.
"""

from __future__ import annotations

import re
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from doctor.vocabulary.document import Diagnosis

_PLACE = re.compile(r"(?P<path>.+):(?P<line>\d+)(?P<remark>(?: \(.*\))?)")


class LineMap:
    """Filled from front to back. Lines count from 1."""

    def __init__(self) -> None:
        self._starts: list[int] = []  # the first text line of each block
        self._blocks: list[tuple[int, bytes | None]] = []  # its line in the file; the steps after it, None: all are 1
        self._lines = 0
        self._unpacked: tuple[int, list[int]] = (-1, [])

    def add(self, numbers: Sequence[int]) -> None:
        """The file's lines of the next lines of text."""
        if not numbers:
            return
        first = numbers[0]
        if numbers == range(first, first + len(numbers)) or list(numbers) == list(range(first, first + len(numbers))):
            packed = None
        else:
            steps = array("q", (after - before for before, after in pairwise(numbers)))
            packed = zlib.compress(steps.tobytes(), 1)
        if packed is not None or not self._continues(first):
            self._starts.append(self._lines + 1)
            self._blocks.append((first, packed))
        self._lines += len(numbers)

    def _continues(self, first: int) -> bool:
        """Whether ``first`` just goes on counting where the last block ended."""
        if not self._blocks or self._blocks[-1][1] is not None:
            return False
        return first == self._blocks[-1][0] + self._lines + 1 - self._starts[-1]

    def line(self, number: int) -> int:
        """The file's line that line ``number`` of the text comes from; of a joined line, the first."""
        at = bisect_right(self._starts, number) - 1
        if at < 0:
            return number
        first, packed = self._blocks[at]
        offset = number - self._starts[at]
        if packed is None:
            return first + offset
        if self._unpacked[0] != at:
            steps = array("q", zlib.decompress(packed))
            self._unpacked = (at, list(accumulate(steps, initial=first)))
        lines = self._unpacked[1]
        return lines[min(offset, len(lines) - 1)]

    @property
    def is_plain(self) -> bool:
        """Whether every line keeps its number."""
        return len(self._blocks) <= 1 and all(block == (1, None) for block in self._blocks)


def restore(document: Diagnosis, maps: Mapping[str, LineMap]) -> None:
    """Gives every line of a diagnosis the number that it has in its file. ``maps`` are by path."""

    def line(path: str, number: int) -> int:
        return maps[path].line(number) if path in maps else number

    def place(text: str) -> str:
        """``path:line``, also with a remark behind it."""
        found = _PLACE.fullmatch(text)
        if not found or found["path"] not in maps:
            return text
        return f"{found['path']}:{line(found['path'], int(found['line']))}{found['remark']}"

    for finding in document.findings:
        for evidence in finding.evidence:
            evidence.line = line(evidence.path, evidence.line)
    for other in document.unexplained:
        other.line = line(other.path, other.line)
    for entry in document.sources:
        if entry.path in maps:
            entry.lines = max(entry.lines and line(entry.path, entry.lines), 0)
    for run in document.runs:
        for event in run.events:
            event.line = line(run.source, event.line)
        run.first_line, run.last_line = line(run.source, run.first_line), line(run.source, run.last_line)
        run.origins = {name: place(origin) for name, origin in run.origins.items()}
    for setting in document.settings:
        setting.origin = place(setting.origin)
        setting.declared_at = place(setting.declared_at) if setting.declared_at else None
    for history in document.history:
        history.first, history.last = place(history.first), place(history.last)
