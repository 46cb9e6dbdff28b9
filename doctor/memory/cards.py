"""Which card of ``nvidia-smi`` an engine's device is: CUDA counts the fastest card first, ``nvidia-smi`` by bus."""

from __future__ import annotations

import re

from doctor.memory.values import Values, integer
from doctor.vocabulary.facts import Record

_INDEX = re.compile(r"\d+$")
_CHOSEN = re.compile(r"\d{1,4}(?: *, *\d{1,4})*")


def card(name: str, values: Values) -> Record | None:
    """The record of a monitor for the device that the engine calls ``name``; None if there is none.

    The same product name decides; among equal cards their order does, or ``CUDA_VISIBLE_DEVICES``.
    """
    found = _INDEX.search(name)
    if not found:
        return None
    index = int(found[0])
    cards = sorted((record for record in values.all("card") if record.get("index") is not None), key=_index)
    own = [record for record in values.all("device") if record.get("description")]
    description = next((_text(record) for record in own if _name(record) == name), None)
    if (chosen := _chosen(values, index)) is not None:
        cards = [record for record in cards if _index(record) == chosen]
        position = 0
    elif description:
        equal = {_name(record) for record in own if _text(record) == description}
        position = sorted(equal, key=_number).index(name)
    else:
        cards = [record for record in cards if _index(record) == index]
        position = 0
    # nvidia-smi cuts long names
    fitting = [record for record in cards if not description or description.startswith(_text(record))]
    return fitting[position] if position < len(fitting) else None


def _chosen(values: Values, index: int) -> int | None:
    """The card that ``CUDA_VISIBLE_DEVICES`` puts at this place, counted as by ``nvidia-smi``."""
    given = values.text("env.CUDA_VISIBLE_DEVICES") or ""
    if not _CHOSEN.fullmatch(given):
        return None
    cards = [int(part) for part in given.split(",")]
    return cards[index] if index < len(cards) else None


def _name(record: Record) -> str:
    name, index = str(record.get("name") or ""), integer(record.get("index"))
    return name or (f"CUDA{index}" if index is not None else "")


def _number(name: str) -> int:
    found = _INDEX.search(name)
    return int(found[0]) if found else 0


def _index(record: Record) -> int:
    return integer(record.get("index")) or 0


def _text(record: Record) -> str:
    return str(record.get("description") or "")
