"""Published memory bandwidth of Apple's chips, whose CPU and GPU share one memory.

Apple's specifications give the figures; of a chip sold with two figures (M3 Max 300 and 400, M4 Max 410 and 546 GB/s)
the larger one counts, because they are used as a bound.
"""

from __future__ import annotations

import re

GB = 1000**3
APPLE = {
    "M1": 68.25, "M1 Pro": 200, "M1 Max": 400, "M1 Ultra": 800,
    "M2": 100, "M2 Pro": 200, "M2 Max": 400, "M2 Ultra": 800,
    "M3": 100, "M3 Pro": 150, "M3 Max": 400, "M3 Ultra": 819,
    "M4": 120, "M4 Pro": 273, "M4 Max": 546,
    "M5": 153,
}  # fmt: skip
"""GB/s by chip."""

_CHIP = re.compile(r"\bApple (?P<chip>M\d{1,2}(?: (?:Pro|Max|Ultra))?)\b")


def bandwidth_of(description: str | None) -> float | None:
    """Bytes a second that the memory of a device delivers at best; None for a device that is not in the table.

    Args:
        description: as a log or ``system_profiler`` names it: ``Apple M3 Ultra``.
    """
    found = _CHIP.search((description or "")[:200])
    known = APPLE.get(found["chip"]) if found else None
    return None if known is None else known * GB
