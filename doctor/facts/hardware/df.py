"""``df``, ``df -h``, ``df -hT``: file systems, and the shared memory of the machine or container (/dev/shm)."""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading, size

kind = "df"
marker = re.compile(
    r"^\s*+(?:Filesystem|Dateisystem|Sys\. de fichiers|S\.ficheros|Sist\. Arq\.|文件系统|檔案系統|ファイルシス|Файл\S*)"
    r"(?:\s+(?:Type|Typ|类型|Тип))?\s+(?:Size|Größe|Taille|Tamaño|Tam\.|容量|サイズ|Размер|1[KMG]-\S+|\d+[KMG]?-?\S*)\s"
)

_ROW = re.compile(
    r"(?P<device>\S.*?) (?:(?P<type>[a-z][\w.]*) )?(?P<size>\d\S*) (?P<used>\d\S*) (?P<free>\d\S*) (?:\d+%|-) "
    r"(?P<mount>.*)"
)


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """One ``filesystem`` record a row."""
    notes = Notes(kind, first_line, path)
    block = re.search(r"\s1?(?P<unit>[KMG])-", lines[0])
    unit = f"{block['unit']}iB" if block else "KiB"
    last, carried = 0, ""
    for i, line in enumerate(lines[1:], 1):
        # a long device name stands alone on a line, its figures on the next
        found = _ROW.fullmatch(" ".join([*carried.split(), *line.split()]))
        if not found:
            if carried or not re.fullmatch(r"\s*/\S+\s*", line):
                break
            carried = line.strip()
            continue
        carried, last = "", i
        total, free = size(found["size"], unit), size(found["free"], unit)
        notes.record(
            "filesystem",
            i,
            mount=found["mount"],
            device=found["device"],
            size=total,
            used=size(found["used"], unit),
            free=free,
        )
        if found["mount"] == "/dev/shm":  # noqa: S108 - read, not written
            notes.fact("host.shm_size", total, i)
            notes.fact("host.shm_free", free, i)
    if not last:
        notes.problem(0, "no row under the header")
    return notes.done(last)
