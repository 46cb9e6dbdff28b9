"""Captured text -> typed value."""

from __future__ import annotations

from typing import Any

from doctor.units import parse_size
from doctor.vocabulary.facts import ABSENT

_UNITS = {"bytes": "", "KiB": "KiB", "MiB": "MiB", "GiB": "GiB", "kB": "kB", "MB": "MB", "GB": "GB", "size": ""}
_TRUE = {"1", "true", "yes", "on", "enabled"}
_FALSE = {"0", "false", "no", "off", "disabled", "none"}
MAX_TEXT = 4096


def convert(text: str | None, kind: str) -> Any:
    """The value of a capture; ABSENT when the group took no part, or its text is not of that type.

    Args:
        text: what the group matched.
        kind: a ``CaptureType``. A unit (``MiB``) reads a bare number in that unit and gives bytes; ``size`` reads
            number and unit.
    """
    if text is None:
        return ABSENT
    text = text.strip()[:MAX_TEXT]
    try:
        if kind == "str":
            return text
        if kind == "int":
            return int(text.replace(",", "").replace("_", "")[:40], 0 if text[:2].lower() == "0x" else 10)
        if kind == "float":
            return float(text.replace(",", "."))
        if kind in _UNITS:
            return parse_size(text, _UNITS[kind])
        if kind == "version":
            from doctor.versions import Version

            return Version.parse(text)
        if kind == "bool":
            lowered = text.lower()
            return True if lowered in _TRUE else False if lowered in _FALSE else ABSENT
        if kind == "list":
            return [part.strip() for part in text.strip("[]").split(",") if part.strip()]
    except (ValueError, OverflowError):
        return ABSENT
    return text
