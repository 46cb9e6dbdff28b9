"""Sizes in bytes, read from and written for people.

Inside the program a size is an integer number of bytes. Engines print MiB and call it MB as often as not; the
suffix decides here: ``KiB/MiB/GiB/TiB`` are powers of 1024, ``kB/KB/MB/GB/TB`` powers of 1000, and bare letters
(``K``, ``M``, ``G``, ``T``, as ``free -h`` and ``docker -m`` use them) powers of 1024.
"""

from __future__ import annotations

import re

KIB, MIB, GIB, TIB = 1024, 1024**2, 1024**3, 1024**4
_FACTORS = {
    "": 1, "b": 1, "bytes": 1,
    "k": KIB, "ki": KIB, "kib": KIB, "kb": 1000,
    "m": MIB, "mi": MIB, "mib": MIB, "mb": 1000**2,
    "g": GIB, "gi": GIB, "gib": GIB, "gb": 1000**3,
    "t": TIB, "ti": TIB, "tib": TIB, "tb": 1000**4,
}  # fmt: skip
_MAX_NUMBER = 1e18
_MAX_TEXT = 200
_SIZE = re.compile(r"(?P<number>[-+]?\d+(?:[.,]\d+)?)\s*(?P<unit>[A-Za-z]*)")


def parse_size(text: str, default_unit: str = "") -> int:
    """``"713 GB"`` -> 713000000000. A decimal comma is read as a point (some locales print it).

    Args:
        text: number with optional unit.
        default_unit: the unit of a number that carries none (``"MiB"`` for llama.cpp's buffer lines).

    Raises:
        ValueError: not a size.
    """
    found = _SIZE.fullmatch(text[:_MAX_TEXT].strip())
    unit = (found["unit"] or default_unit).lower() if found else ""
    if not found or unit not in _FACTORS:
        raise ValueError(f"not a size: {text!r}")
    number = float(found["number"].replace(",", "."))
    if not abs(number) < _MAX_NUMBER:
        raise ValueError(f"not a size that memory can have: {text[:40]!r}")
    return round(number * _FACTORS[unit])


def format_size(count: float) -> str:
    """Bytes as a person reads them: ``1426000000000`` -> ``"1328.1 GiB"``, small ones in MiB or KiB."""
    for factor, unit in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if abs(count) >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count:.0f} B"


def format_size_both(count: float) -> str:
    """GiB with decimal GB beside it for large ones, as vendors give them: ``"664.0 GiB (713 GB)"``."""
    if abs(count) < 10 * GIB:
        return format_size(count)
    return f"{format_size(count)} ({count / 1000**3:.0f} GB)"
