"""Reads facts for arithmetic: a number or nothing. Absurd values (a hostile or garbled log) count as not there."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from doctor.vocabulary.facts import Record, Special, Unknown

Resolve = Callable[[str], Any]
Records = Mapping[str, Sequence[Record]]

MAX_LAYERS = 4096
MAX_NUMBER = 2**62
_TRUE = {"1", "true", "yes", "on", "enabled"}
_FALSE = {"0", "false", "no", "off", "disabled", "none"}


class Values:
    """Typed access to facts and records.

    Args:
        resolve: fact name -> value, ABSENT or Unknown (``None`` counts as unknown).
        records: collection name -> elements.
    """

    def __init__(self, resolve: Resolve, records: Records | None = None) -> None:
        self._resolve = resolve
        self._records = records or {}

    def get(self, name: str) -> Any:
        """The value, or None when it is absent or unknown."""
        value = self._resolve(name)
        return None if isinstance(value, (Unknown, Special)) else value

    def number(self, name: str) -> float | None:
        return number(self.get(name))

    def integer(self, name: str) -> int | None:
        return integer(self.get(name))

    def text(self, name: str) -> str | None:
        value = self.get(name)
        return None if value is None else str(value)

    def flag(self, name: str) -> bool | None:
        """Yes or no in the spellings of logs and environment files; None for anything else (``auto``)."""
        value = self.get(name)
        if value is None or isinstance(value, bool):
            return value
        lowered = str(value).strip().lower()
        return True if lowered in _TRUE else False if lowered in _FALSE else None

    def per_layer(self, name: str) -> int | tuple[int, ...] | None:
        """A number that is the same for all layers, or one a layer: llama.cpp prints ``[8, 8, 0]`` when they differ."""
        value = self.get(name)
        if isinstance(value, str) and value.strip().startswith("["):
            value = [part for part in re.split(r"[\s,\[\]]+", value) if part]
        if isinstance(value, (list, tuple)):
            found = [integer(part) for part in value[:MAX_LAYERS]]
            return None if not found or None in found else tuple(part for part in found if part is not None)
        return integer(value)

    def all(self, kind: str) -> list[Record]:
        return list(self._records.get(kind) or ())


def number(value: Any) -> float | None:
    """A finite number that is not negative and not absurd; text is read as a number."""
    if value is None or isinstance(value, bool):
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and 0 <= found <= MAX_NUMBER else None


def integer(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value <= MAX_NUMBER else None
    found = number(value)
    return None if found is None else int(found)
