"""Sizes of model files out of ``ls -l``, ``ls -lh``, ``du -h``, ``du -b`` and ``du -sh``.

``du`` without an option counts KiB, with ``-b`` bytes; the number alone does not say. Without the command line a bare
number is taken where only one of the two makes sense for a model file, and told as a problem elsewhere.
"""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading, command_of, size

kind = "file sizes"
_MODEL = r"\.(?:gguf|safetensors|bin|pth|pt|ggml|onnx)"
_LS = (
    rf"[-l](?:[r-][w-][xsStT-]){{3}}[.+@]? +\d+ +\S+ +\S+ +(?P<size>\d[\d.,]*[KMGTP]?) +"
    rf"(?P<date>\S.{{4,40}}?) +(?P<name>'[^']+{_MODEL}'|\S+{_MODEL})(?P<link>[*@]?(?: -> .*)?)"
)
# a folder only with a unit: "56\tin ../sysdeps/..." is gdb's
_DU = (
    rf"(?P<size>\d{{1,16}}(?:[.,]\d{{1,3}})?(?P<unit>[KMGTP]?))(?:(?<=[KMGTP])\t+(?P<path>\S.*)"
    rf"|[\t ]+(?P<model>\S+{_MODEL})| +(?<=[KMGTP] )(?P<folder>\.{{0,2}}/\S*))"
)
_COMMAND = r"[$#%+>❯➜] +(?:\S+ +)?(?:ls|du)\b"
_HEADING = r"\.{0,2}/[^:]{0,300}:"
marker = re.compile(
    rf"^\s*+(?:{_LS.replace('?P<', '?P<ls_')}|{_DU.replace('?P<', '?P<du_')}|{_HEADING})\s*$|{_COMMAND}"
)

_LS_LINE, _DU_LINE = re.compile(rf"\s*{_LS}\s*"), re.compile(rf"\s*{_DU}\s*")
_DU_COUNT = re.compile(r"(?P<size>\d{1,16})(?P<unit>)\t(?P<path>\S.*)(?P<model>)(?P<folder>)")
_FOLDER = re.compile(r"(?P<folder>[^:]+):")
_OTHER = re.compile(r"(?:total|insgesamt|总计|总用量|итого|合計) ?\S*|[-dlcbps](?:[r-][w-][xsStT-]){3}[.+@]? .*")


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """One ``file`` record for each model file or measured folder, with its folder where the listing tells it."""
    notes = Notes(kind, first_line, path)
    command = command_of(lines[0])
    folder, last = "", 0
    if command and re.match(r"(?:sudo +)?ls\b", command):
        named = [word for word in command.split()[1:] if not word.startswith("-")]
        if len(named) == 1 and not re.search(rf"{_MODEL}$|[*?\[]", named[0]):
            folder = named[0]
    in_bytes = _counts_bytes(lines, command)
    for i, line in enumerate(lines):
        text = line.strip()
        if i == 0 and command:
            continue
        if found := _LS_LINE.fullmatch(line):
            if not found["link"].startswith(" ->"):  # the size of a link says nothing
                name = found["name"].strip("'")
                full = name if "/" in name or not folder else f"{folder.rstrip('/')}/{name}"
                notes.record("file", i, path=full, bytes=size(found["size"].replace(",", ".")))
        elif found := _DU_LINE.fullmatch(line) or (_DU_COUNT.fullmatch(text) if command else None):
            name = (found["path"] or found["model"] or found["folder"]).strip()
            notes.record("file", i, path=name, bytes=_du_size(notes, found, in_bytes, i))
        elif head := _FOLDER.fullmatch(text):
            folder = head["folder"]
        elif text and not _OTHER.fullmatch(text):
            break
        if text:
            last = i
    return notes.done(last) if notes.reading.records else Reading()


def _counts_bytes(lines: list[str], command: str | None) -> bool | None:
    """Whether the bare numbers of ``du`` are bytes; ``None`` where nothing tells."""
    if command is not None:
        return re.search(r" -\w*b|--bytes|--block-size=1\b", command) is not None
    bare = [found["size"] for line in lines[:100] if (found := _DU_LINE.fullmatch(line)) and not found["unit"]]
    # as KiB it would be over 2 TiB
    return True if any((size(text) or 0) >= 2**31 for text in bare) else None


def _du_size(notes: Notes, found: re.Match[str], in_bytes: bool | None, i: int) -> int | None:
    count = size(found["size"])
    if count is None or found["unit"] or in_bytes:
        return count
    if in_bytes is False or count < 2**27:
        return count * 1024  # as bytes it would be under 128 MiB, small for a model
    notes.problem(i, "a size without a unit may be bytes (du -b) or KiB (du): not used")
    return None
