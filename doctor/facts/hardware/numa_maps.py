"""``/proc/PID/numa_maps``: on which NUMA node the pages of a process lie.

A line counts pages of its own size (``kernelpagesize_kB``); the same file is mapped by several lines.
Format: Documentation/filesystems/proc.rst of the Linux kernel.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from doctor.facts.hardware.reading import Notes, Reading

kind = "numa_maps"
marker = re.compile(
    r"^\s*+[0-9a-f]{6,16} (?:default|local|(?:bind|interleave|prefer|weighted interleave)[^ ]*)"
    r"(?: (?:file=|heap|stack|huge|anon=|mapped=|N\d|dirty=)\S*+)*+(?: \w+=\d+)*+ *+$"
)

_LINE = re.compile(r"\s*[0-9a-f]{6,16} (?P<policy>[a-z]\S*)(?P<rest>(?: .*)?)")
_SMALLEST = 16 * 1024 * 1024  # a smaller file (a library) says nothing about where a model lies


@dataclass
class _Mapping:
    line: int
    pages: Counter[int] = field(default_factory=Counter)
    bytes_by_node: Counter[int] = field(default_factory=Counter)
    bytes_by_page_size: Counter[int] = field(default_factory=Counter)


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """One ``mapping`` record for each file of 16 MiB or more and the largest, and one for all anonymous memory."""
    notes = Notes(kind, first_line, path)
    found: dict[str, _Mapping] = {}
    last = 0
    for i, line in enumerate(lines):
        parts = _LINE.fullmatch(line)
        if not parts or not marker.match(line):
            break
        last = i
        words = dict(word.split("=", 1) for word in parts["rest"].split() if "=" in word)
        nodes = {
            int(k[1:]): int(v)
            for k, v in words.items()
            if re.fullmatch(r"N\d{1,4}", k) and re.fullmatch(r"\d{1,15}", v)
        }
        if not nodes:
            continue
        kib = words.get("kernelpagesize_kB", "4")
        page = 1024 * (int(kib) if re.fullmatch(r"\d{1,8}", kib) else 4)
        # a private copy of a file's page is anonymous, but it is counted with its file as the kernel prints it
        name = words.get("file", "anonymous").replace("\\040", " ")
        mapping = found.setdefault(name, _Mapping(i))
        mapping.pages.update(nodes)
        mapping.bytes_by_node.update({node: count * page for node, count in nodes.items()})
        mapping.bytes_by_page_size[page] += sum(nodes.values()) * page
    files = [name for name in found if name != "anonymous"]
    models = [name for name in files if name.endswith((".gguf", ".safetensors", ".bin", ".pth", ".pt"))]
    largest = max(models or files, key=lambda name: found[name].bytes_by_node.total(), default=None)
    for name, mapping in found.items():
        total = mapping.bytes_by_node.total()
        if name not in ("anonymous", largest) and total < _SMALLEST:
            continue
        notes.record(
            "mapping",
            mapping.line,
            path=name,
            pages=dict(sorted(mapping.pages.items())),
            main_node=mapping.bytes_by_node.most_common(1)[0][0],
            bytes=total,
            bytes_by_node=dict(sorted(mapping.bytes_by_node.items())),
            bytes_by_page_size=dict(sorted(mapping.bytes_by_page_size.items())),
            main=name == largest,
        )
    return notes.done(last)
