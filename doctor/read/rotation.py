"""Names of rotated logs: ``server.log.2.gz`` is an older part of ``server.log``.

As logrotate (numbers, ``dateext``), Docker and newsyslog name them.
"""

from __future__ import annotations

import re

_PACKED = re.compile(r"\.(?:gz|bz2|xz|zst|lzma|Z)$")
_DATE = re.compile(r"[.-](\d{4})-?(\d\d)-?(\d\d)(?:[-.T_]?(\d{2})[-:]?(\d{2})?[-:]?(\d{2})?)?$")
_NUMBER = re.compile(r"(?<!\d)\.(\d{1,3})$")
_BEFORE = re.compile(r"\.(?:old|prev(?:ious)?)$")
_PLAIN = re.compile(r"\.(?:log|txt)$")
_NEWEST = (2, "")


def rotation(path: str) -> tuple[str, tuple[int, str]]:
    """The name that all parts of a log share, and a key by which older parts sort first."""
    name, key = path, _NEWEST
    while True:
        if found := _PACKED.search(name) or _PLAIN.search(name):
            pass
        elif found := _DATE.search(name):
            key = min(key, (0, "".join(part or "" for part in found.groups())))
        elif found := _NUMBER.search(name):
            key = min(key, (1, f"{999 - int(found[1]):03}"))
        elif found := _BEFORE.search(name):
            key = min(key, (1, "999"))
        else:
            return name, key
        name = name[: found.start()]
