"""Where the bars and marks of the report's pictures stand. The templates draw them as SVG.

All positions are in thousandths of the picture's width.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from doctor.vocabulary.document import MemoryEntry, RunEntry

WIDTH = 1000
_LEAST = 3  # what is there can be seen
_MOST_MARKS = 60


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of what a device has to hold.

    Attributes:
        x, width: where the part lies.
        over: x of the piece beyond what is free, and its width; None when it fits.
    """

    name: str
    bytes: int
    x: float
    width: float
    over: tuple[float, float] | None
    estimate: bool = False
    look: str = "other"


@dataclass(frozen=True, slots=True)
class Device:
    """A waterfall: each part begins where the one before it ends; ``free_at`` is where memory ends."""

    name: str
    bars: list[Bar]
    need: Bar
    free: int | None
    total: int | None
    missing: int
    free_at: float | None


_LOOKS = {"weights": "weights", "mapped weights": "weights", "kv": "kv", "compute": "compute"}


def waterfall(entry: MemoryEntry) -> Device:
    need = sum(max(part.bytes, 0) for part in entry.parts)
    scale = max(need, entry.free or 0, entry.total or 0, 1)
    limit = entry.free if entry.free is not None else entry.total
    edge = None if limit is None else round(limit / scale * WIDTH, 1)

    def bar(name: str, start: int, size: int, *, estimate: bool = False) -> Bar:
        x, width = round(start / scale * WIDTH, 1), max(round(size / scale * WIDTH, 1), _LEAST if size else 0)
        x = min(x, WIDTH - width)
        beyond = None
        if edge is not None and limit is not None and start + size > limit:
            over = max(x, min(edge, WIDTH - _LEAST))
            beyond = (over, round(max(x + width - over, _LEAST), 1))
        return Bar(name, size, x, width, beyond, estimate, _LOOKS.get(name, "other"))

    bars, at = [], 0
    for part in entry.parts:
        size = max(part.bytes, 0)
        bars.append(bar(part.kind, at, size, estimate=part.source == "estimate"))
        at += size
    return Device(entry.device, bars, bar("needed", 0, need), entry.free, entry.total, entry.missing or 0, edge)


@dataclass(slots=True)
class Mark:
    """An event of a run, or several equal ones behind each other."""

    line: int
    what: str
    text: str
    x: float
    broke: bool = False
    more: int = 0
    last: int = 0


@dataclass(frozen=True, slots=True)
class Band:
    phase: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """A run from its first to its last line.

    Attributes:
        bands: its phases side by side.
        marks: its events; equal neighbours are one.
        breaks: x of the lines that prove the root cause.
    """

    bands: list[Band]
    marks: list[Mark]
    breaks: list[float] = field(default_factory=list)


_BEGINS = {"loading": "loading", "ready": "serving", "progress": "serving", "stopping": "stopping", "ended": "ended"}


def timeline(run: RunEntry, proof: Collection[tuple[int, str]]) -> Timeline:
    """The phases of a run and what happened in them.

    Args:
        proof: lines of the run's log that prove its root cause, with their text.
    """
    span = max(run.last_line - run.first_line, 1)

    def at(line: int) -> float:
        return round(min(max((line - run.first_line) / span, 0), 1) * WIDTH, 1)

    told = sorted({(event.line, event.what, event.text) for event in run.events})
    marks: list[Mark] = []
    for line, what, text in told:
        if marks and marks[-1].what == what:
            marks[-1].more += 1
            marks[-1].last = line
        else:
            marks.append(Mark(line, what, text, at(line), last=line))
    known = {mark.line: mark for mark in marks}
    for line, text in sorted(set(proof)):
        if line in known:
            known[line].broke = True
        else:
            marks.append(Mark(line, "broke", text, at(line), broke=True, last=line))
    marks.sort(key=lambda mark: mark.line)
    return Timeline(
        _bands(marks, at(run.last_line)), marks[:_MOST_MARKS], [at(line) for line, _text in sorted(set(proof))]
    )


def _bands(marks: list[Mark], end: float) -> list[Band]:
    """From each event that begins a phase to the next one."""
    starts: list[tuple[float, str]] = [(0, "starting")]
    for mark in marks:
        phase = _BEGINS.get(mark.what)
        if phase and phase != starts[-1][1]:
            starts.append((mark.x, phase))
    stops = [x for x, _phase in starts[1:]] + [max(end, 1)]
    found = [Band(phase, x, round(stop - x, 1)) for (x, phase), stop in zip(starts, stops, strict=True)]
    return [band for band in found if band.width > 0]


def slug(text: str) -> str:
    """What may stand in an anchor."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[:120].strip("-") or "x"
