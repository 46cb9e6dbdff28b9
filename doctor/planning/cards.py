"""Published memory bandwidth of graphics cards, from their makers' data sheets.

Of a chip that is sold with two figures the larger one counts, because they are used as a bound.
"""

from __future__ import annotations

import re

from doctor.memory.bandwidth import GB, bandwidth_of

CARDS = {
    "RTX 2080 Ti": 616, "RTX 3060": 360, "RTX 3060 Ti": 608, "RTX 3070": 448, "RTX 3070 Ti": 608, "RTX 3080": 912,
    "RTX 3080 Ti": 912, "RTX 3090": 936, "RTX 3090 Ti": 1008, "RTX 4060": 272, "RTX 4060 Ti": 288, "RTX 4070": 504,
    "RTX 4070 SUPER": 504, "RTX 4070 Ti": 504, "RTX 4070 Ti SUPER": 672, "RTX 4080": 717, "RTX 4080 SUPER": 736,
    "RTX 4090": 1008, "RTX 5060": 448, "RTX 5060 Ti": 448, "RTX 5070": 672, "RTX 5070 Ti": 896, "RTX 5080": 960,
    "RTX 5090": 1792, "RTX A5000": 768, "RTX A6000": 768, "RTX 6000 Ada": 960, "RTX PRO 6000": 1792,
    "Tesla T4": 320, "T4": 320, "Tesla P40": 346, "V100": 900, "A10": 600, "A10G": 600, "A30": 933, "A40": 696,
    "A100": 2039, "H100": 3350, "H100 PCIe": 2039, "H200": 4800, "B200": 8000, "L4": 300, "L40": 864, "L40S": 864,
    "RX 6800 XT": 512, "RX 6900 XT": 512, "RX 7600": 288, "RX 7800 XT": 624, "RX 7900 XT": 800, "RX 7900 XTX": 960,
    "RX 9070 XT": 640, "MI50": 1024, "MI100": 1229, "MI210": 1638, "MI250X": 3277, "MI300X": 5300,
    "Arc A770": 560, "Arc B580": 456,
}  # fmt: skip
"""GB/s by product."""

_PATTERNS = [
    (re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w])", re.IGNORECASE), rate)
    for name, rate in sorted(CARDS.items(), key=lambda item: -len(item[0]))
]


def card_bandwidth(description: str | None) -> float | None:
    """Bytes a second that a device's memory delivers at best; None for one that is in no table.

    Args:
        description: as a tool names it: ``NVIDIA GeForce RTX 4090``, ``Apple M3 Ultra``.
    """
    text = (description or "")[:200].replace("-", " ")
    found = next((rate for pattern, rate in _PATTERNS if pattern.search(text)), None)
    return found * GB if found else bandwidth_of(description)
