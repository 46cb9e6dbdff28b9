"""``ls -l`` of GPU device files (/dev/kfd, /dev/dri/*, /dev/nvidia*, /dev/davinci*) and ``id``: may this user use them?

The answer is that of the mode bits; ACLs (a ``+`` behind them) and a container's device cgroup may say otherwise.
"""

from __future__ import annotations

import re
from typing import Any

from doctor.facts.hardware.reading import Notes, Reading, number
from doctor.vocabulary.facts import Record

kind = "device files"
_LS = (
    r"(?P<mode>c[r-][w-][xsStT-][r-][w-][xsStT-][r-][w-][xtT-])(?P<acl>[.+@]?)"
    r" +\d+ +(?P<owner>\S+) +(?P<group>\S+) +\d+,"
    r" +\d+ +\S.{4,30}? (?P<path>/dev/\S+|(?:nvidia|render|card|kfd|davinci)\S*)"
)
_ID = r"uid=(?P<uid>\d{1,10})(?:\((?P<user>[^)\s]{1,64})\))? gid=\S+(?: groups=(?P<groups>\S+))?(?: context=\S+)?"
marker = re.compile(
    rf"^\s*+{_LS}\s*$|^\s*+uid=\d+(?:\(\S+\))? gid=\d+|^/(?:\.dockerenv|run/\.containerenv)$|^container=\w+$"
)

_LS_LINE, _ID_LINE = re.compile(rf"\s*{_LS}\s*"), re.compile(rf"\s*{_ID}\s*")


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """One ``device_file`` each; user and groups; the container that this is."""
    notes = Notes(kind, first_line, path)
    files: list[tuple[Record, str]] = []
    last = 0
    for i, line in enumerate(lines):
        if found := _LS_LINE.fullmatch(line):
            known = {name: found[name] for name in ("owner", "group", "mode")}
            files.append((notes.record("device_file", i, path=found["path"], **known), found["acl"]))
        elif asked := _ID_LINE.fullmatch(line):
            _identity(notes, asked, files, i)
        elif where := re.fullmatch(r"/\.dockerenv|/run/\.containerenv|container=(?P<name>\w[\w-]*)", line.strip()):
            name = where["name"] or {"/.dockerenv": "docker"}.get(line.strip(), "podman")
            if not any(fact.name == "host.container" for fact in notes.reading.facts):
                notes.fact("host.container", name, i)
        elif line.strip():
            break
        last = i if line.strip() else last
    return notes.done(last)


def _identity(notes: Notes, asked: re.Match[str], files: list[tuple[Record, str]], i: int) -> None:
    groups = [re.sub(r"^\d+\((.*)\)$", r"\1", group) for group in (asked["groups"] or "").split(",") if group]
    user = asked["user"] or asked["uid"]
    notes.fact("host.user", user, i)
    notes.fact("host.groups", groups, i)
    for record, acl in files:
        usable = _usable(record.fields, user, groups, root=number(asked["uid"]) == 0)
        if usable or acl != "+":  # an ACL may give what the mode does not
            record.fields["usable"] = usable


def _usable(fields: dict[str, Any], user: str, groups: list[str], *, root: bool) -> bool:
    if root:
        return True
    mode = fields["mode"]
    bits = mode[1:3] if fields["owner"] == user else mode[4:6] if fields["group"] in groups else mode[7:9]
    return str(bits) == "rw"
