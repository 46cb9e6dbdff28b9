"""``vm_stat`` and ``sysctl vm.swapusage`` of macOS: pages by state, and swap.

What can be had without swapping is what is free, inactive, speculative or purgeable; Activity Monitor counts alike.
"""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading, size

kind = "vm_stat"
marker = re.compile(r"^\s*+Mach Virtual Memory Statistics: \(page size of \d{4,6} bytes\)|^\s*+vm\.swapusage: total = ")

_ROW = re.compile(r'\s*"?(?P<key>[A-Z][\w -]{2,40})"?:\s+(?P<pages>\d{1,15})\.?\s*')
_SWAP = re.compile(r"\s*vm\.swapusage: total = (?P<total>[\d.]+M)  used = [\d.]+M  free = (?P<free>[\d.]+M).*")
_AVAILABLE = {"Pages free", "Pages inactive", "Pages speculative", "Pages purgeable"}


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """Free and available memory, or swap."""
    notes = Notes(kind, first_line, path)
    if swap := _SWAP.fullmatch(lines[0]):
        notes.fact("host.swap_total", size(f"{swap['total']}iB"), 0)
        notes.fact("host.swap_free", size(f"{swap['free']}iB"), 0)
        return notes.done(0)
    paged = re.search(r"page size of (\d+)", lines[0])
    page = int(paged[1]) if paged else 4096
    pages: dict[str, int] = {}
    last = 0
    for i, line in enumerate(lines[1:], 1):
        row = _ROW.fullmatch(line)
        if not row:
            break
        pages[row["key"]], last = int(row["pages"]), i
    if "Pages free" in pages:
        notes.fact("host.ram_free", pages["Pages free"] * page, 1)
        notes.fact("host.ram_available", sum(pages.get(key, 0) for key in _AVAILABLE) * page, 1)
    return notes.done(last)
