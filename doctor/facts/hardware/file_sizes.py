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
_DU = (
    rf"(?P<size>\d{{1,16}}(?:[.,]\d{{1,3}})?(?P<unit>[KMGTP]?))(?:\t+(?P<path>\S.*?)"
    rf"| +(?P<model>\S+{_MODEL})| +(?<=[KMGTP] )(?P<folder>\.{{0,2}}/\S*))"
)
_COMMAND = r"[$#%+>❯➜] +(?:\S+ +)?(?:ls|du)\b"
marker = re.compile(rf"^\s*(?:{_LS.replace('?P<', '?P<ls_')}|{_DU.replace('?P<', '?P<du_')})\s*$|{_COMMAND}")

_LS_LINE, _DU_LINE = re.compile(rf"\s*{_LS}\s*"), re.compile(rf"\s*{_DU}\s*")
_FOLDER = re.compile(r"(?P<folder>(?:\.{0,2}/|[A-Za-z]:\\)[^:]*|[\w.-]+(?:/[^:]*)?):")
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
    for i, line in enumerate(lines):
        text = line.strip()
        if i == 0 and command:
            continue
        if found := _LS_LINE.fullmatch(line):
            if not found["link"].startswith(" ->"):  # the size of a link says nothing
                name = found["name"].strip("'")
                full = name if "/" in name or not folder else f"{folder.rstrip('/')}/{name}"
                notes.record("file", i, path=full, bytes=size(found["size"].replace(",", ".")))
        elif found := _DU_LINE.fullmatch(line):
            name = found["path"] or found["model"] or found["folder"]
            notes.record("file", i, path=name, bytes=_du_size(notes, found, command, i))
        elif head := _FOLDER.fullmatch(text):
            folder = head["folder"]
        elif text and not _OTHER.fullmatch(text):
            break
        if text:
            last = i
    return notes.done(last) if notes.reading.records else Reading()


def _du_size(notes: Notes, found: re.Match[str], command: str | None, i: int) -> int | None:
    if found["unit"]:
        return size(found["size"])
    count = size(found["size"]) or 0
    if command is not None:
        return count if re.search(r" -\w*b|--bytes|--apparent-size.*--block-size=1\b", command) else count * 1024
    if count >= 2**31:
        return count  # as KiB it would be over 2 TiB
    if count < 2**27:
        return count * 1024  # as bytes it would be under 128 MiB
    notes.problem(i, "a size without a unit may be bytes (du -b) or KiB (du): not used")
    return None
