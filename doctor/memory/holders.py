"""What else is on a device: the processes that ``nvidia-smi`` lists for it, and what none of them holds."""

from __future__ import annotations

import re
from dataclasses import dataclass

from doctor.memory.cards import card
from doctor.memory.places import Place
from doctor.memory.values import Values, integer
from doctor.units import format_size

_INDEX = re.compile(r"\d+$")
_MAX_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Holders:
    """Attributes:
    bytes: their sum, as far as it is told.
    text: the largest of them, with their sizes; empty if none is listed.
    total: memory of the card; None if not known.
    rest: in use before the run and held by no listed process: the driver's share, and the CUDA context that the engine
        makes before it asks what is free. None if not known.
    """

    bytes: int
    text: str
    total: int | None = None
    rest: int | None = None


def holders(place: Place, values: Values) -> Holders | None:
    """The other processes on a device; None when no list names one and its size is not known either.

    A process of the engine that holds half of what the run needs, or more, is taken as the run itself, or its next try.
    """
    found, listed = _INDEX.search(place.name), card(place.name, values)
    if not found:
        return None
    index = integer(listed.get("index")) if listed else int(found[0])
    engine = (values.text("engine.name") or "").lower()
    others: list[tuple[int, str]] = []
    for record in values.all("process"):
        size, name = integer(record.get("bytes")), str(record.get("name") or "?")
        if integer(record.get("device")) != index:
            continue
        if engine and engine.split(".")[0] in name.lower() and (size or 0) * 2 >= place.need:
            continue
        others.append((size or 0, re.split(r"[/\\]", name)[-1][:40]))
    total = place.total or (integer(listed.get("total")) if listed else None)
    if not others and not total:
        return None
    others.sort(reverse=True)
    shown = [f"{name} {format_size(size)}" if size else name for size, name in others[:_MAX_SHOWN]]
    more = f" and {len(others) - _MAX_SHOWN} more" if len(others) > _MAX_SHOWN else ""
    held = sum(size for size, _ in others)
    in_use = total - place.free if total and place.free is not None else None
    # The list and the engine's question are of different moments: with less in use than the list says, nothing is told.
    rest = in_use - held if in_use is not None and in_use >= held else None
    return Holders(held, ", ".join(shown) + more, total, rest)


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
