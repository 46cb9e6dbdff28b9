"""What else is on a device: the processes that hold its memory, as ``nvidia-smi`` lists them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from doctor.memory.places import Place
from doctor.memory.values import Values, integer
from doctor.units import format_size

_INDEX = re.compile(r"\d+$")
_MAX_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Holders:
    """Attributes:
    bytes: their sum, as far as it is told.
    text: the largest of them, with their sizes.
    """

    bytes: int
    text: str


def holders(place: Place, values: Values) -> Holders | None:
    """The other processes on a device; None when no list names one.

    A process of the engine that holds half of what the run needs, or more, is taken as the run itself, or its next try.
    """
    found = _INDEX.search(place.name)
    if not found:
        return None
    engine = (values.text("engine.name") or "").lower()
    others: list[tuple[int, str]] = []
    for record in values.all("process"):
        size, name = integer(record.get("bytes")), str(record.get("name") or "?")
        if integer(record.get("device")) != int(found[0]):
            continue
        if engine and engine.split(".")[0] in name.lower() and (size or 0) * 2 >= place.need:
            continue
        others.append((size or 0, re.split(r"[/\\]", name)[-1][:40]))
    if not others:
        return None
    others.sort(reverse=True)
    shown = [f"{name} {format_size(size)}" if size else name for size, name in others[:_MAX_SHOWN]]
    more = f" and {len(others) - _MAX_SHOWN} more" if len(others) > _MAX_SHOWN else ""
    return Holders(sum(size for size, _ in others), ", ".join(shown) + more)


def placement_text(places: list[Place]) -> str | None:
    """What each device needs and has, in words; None when no device has figures."""
    lines = []
    for place in places:
        if not place.parts:
            continue
        parts = [
            f"{part.kind} {format_size(part.bytes)}{' (estimate)' if part.source == 'estimate' else ''}"
            for part in place.parts
            if part.bytes
        ]
        line = f"{place.name}: {' + '.join(parts)} = {format_size(place.need)}"
        if place.free is not None:
            short = f", {format_size(place.missing)} short" if place.missing else ""
            line += f" of {format_size(place.free)} free{short}"
        lines.append(line)
    return "; ".join(lines) or None
