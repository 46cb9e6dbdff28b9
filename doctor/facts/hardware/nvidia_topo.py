"""``nvidia-smi topo -m`` (how cards are linked) and ``nvidia-smi topo -p2p r`` (may one read another's memory)."""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading

kind = "nvidia-smi topo"
marker = re.compile(r"^\s+GPU0(?:\s+(?:GPU|NIC|mlx\w+_)\d+)*(?:\s+CPU Affinity.*)?\s*$")

_ROW = re.compile(r"\s*GPU(?P<index>\d{1,3})\s+(?P<cells>(?:X|OK|CNS|GNS|TNS|NS|U|SYS|NODE|PHB|PXB|PIX|PSB|NV\w+)\b.*)")
_PEER = {"OK", "CNS", "GNS", "TNS", "NS", "U"}
_LEGEND = re.compile(r"\s*(?:Legend:|(?:X|SYS|NODE|PHB|PXB|PIX|PSB|NV#|OK|CNS|GNS|TNS|NS|U|NIC\d*|mlx\w+)\s*[=:].*)")


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """One ``gpu_link`` for each pair of cards."""
    notes = Notes(kind, first_line, path)
    heads = re.findall(r"GPU(\d{1,3})\b", lines[0].split("CPU Affinity")[0])
    last, rows = 0, 0
    for i, line in enumerate(lines[1:], 1):
        if row := _ROW.fullmatch(line):
            rows, last = rows + 1, i
            one = int(row["index"])
            for head, cell in zip(heads, row["cells"].split(), strict=False):
                other = int(head)
                if one < other:
                    known = {"peer" if cell in _PEER else "link": cell}
                    notes.record("gpu_link", i, one=one, other=other, **known)
        elif _LEGEND.fullmatch(line) or re.match(r"\s*(?:NIC\d|mlx\w+_\d)\s", line):
            last = i
        elif line.strip():
            break
    return notes.done(last) if rows else Reading()
