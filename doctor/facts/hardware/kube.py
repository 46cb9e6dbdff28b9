"""A pod's own account: ``kubectl describe pod`` and the ``status:`` of ``kubectl get pod -o yaml`` (or ``json``).

Exit 137 with ``OOMKilled`` is the container's memory limit; 137 alone may be a failed probe or an eviction.
"""

from __future__ import annotations

import json
import re
from typing import Any

from doctor.facts.hardware.reading import Notes, Reading, number, size

kind = "pod"
marker = re.compile(r"^Name:\s+[a-z0-9][a-z0-9.-]*\s*$|^\s*+\"?containerStatuses\"?:\s*+\[?\s*+$")

_PAIR = re.compile(r"(?P<indent> {0,40})(?P<key>[A-Za-z][\w ./()-]{0,60}):(?: +(?P<value>\S.*))?")
_MAX_WIDTH = 2000
_QUANTITY = {"Ki": "KiB", "Mi": "MiB", "Gi": "GiB", "Ti": "TiB", "K": "kB", "k": "kB", "M": "MB", "G": "GB", "T": "TB"}
_GPU = re.compile(r"(?:nvidia|amd|intel|huawei)\.com/\w[\w./-]*")


def quantity(text: str | None) -> int | None:
    """A Kubernetes quantity of memory in bytes: ``8Gi``, ``16G``, ``1073741824``."""
    found = re.fullmatch(r"(\d{1,20}(?:\.\d{1,9})?)([KMGT]i|[kKMGT])?", (text or "").strip().strip("\"'"))
    return size(found[1] + _QUANTITY.get(found[2] or "", "")) if found else None


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """One ``container`` for each container of the pod."""
    notes = Notes(kind, first_line, path)
    if lines[0].startswith("Name:"):
        return _describe(notes, lines)
    return _status(notes, lines)


def _describe(notes: Notes, lines: list[str]) -> Reading:
    """By indentation: ``Containers:`` at the margin, names at two blanks, then ``State:`` and ``Limits:`` with more."""
    if not any(re.match(r"(?:Namespace|Node|Containers|Status):", line) for line in lines[1:30]):
        return Reading()
    part, section, record, last = "", "", None, 0
    for i, whole in enumerate(lines):
        line = whole[:_MAX_WIDTH].rstrip()
        if not line:
            continue
        pair = _PAIR.fullmatch(line)
        if line[0] != " ":
            if not pair or (i and pair["key"] == "Name"):
                break
            part, record = pair["key"], None
            last = i
            if part == "Events" and pair["value"] is None:
                return _events(notes, lines, i)
            continue
        last = i
        if part not in {"Containers", "Init Containers"}:
            continue
        named = re.fullmatch(r"  ([a-z0-9][a-z0-9-]*):", line)
        if named:
            record, section = notes.record("container", i, name=named[1]), ""
        elif record is not None:
            if not pair:
                continue
            key, value = pair["key"], pair["value"]
            if len(pair["indent"]) <= 4:
                section = key
                _plain(record.fields, key, value)
            else:
                _nested(notes, record.fields, section, key, value, i)
    return notes.done(last)


def _events(notes: Notes, lines: list[str], i: int) -> Reading:
    """The table of events ends the account."""
    last = i
    for k, line in enumerate(lines[i + 1 :], i + 1):
        if not line.startswith("  "):
            break
        last = k
    return notes.done(last)


def _plain(fields: dict[str, Any], key: str, value: str | None) -> None:
    if key == "Image":
        fields["image"] = value
    elif key == "Restart Count":
        fields["restarts"] = number(value)
    elif key == "State":
        fields["running"] = value == "Running"


def _nested(notes: Notes, fields: dict[str, Any], section: str, key: str, value: str | None, i: int) -> None:
    if section in {"State", "Last State"} and key == "Reason":
        if section == "State" and fields.get("running") is False and value not in {"Completed", "OOMKilled", "Error"}:
            fields["waiting"] = value
        else:
            fields["reason"] = value
            fields["oom_killed"] = value == "OOMKilled"
            notes.fact("host.container_oom_killed", value == "OOMKilled", i)
    elif section in {"State", "Last State"} and key == "Exit Code":
        fields["exit_status"] = number(value)
    elif section == "Limits" and key == "memory":
        fields["limit"] = quantity(value)
        notes.fact("host.cgroup_limit", fields["limit"], i)
    elif section == "Limits" and _GPU.fullmatch(key):
        fields["gpus"] = value


def _status(notes: Notes, lines: list[str]) -> Reading:
    """The list below ``containerStatuses``, in YAML or JSON: what is there is the same text with other punctuation."""
    indent = len(lines[0]) - len(lines[0].lstrip())
    body: list[str] = []
    last = 0
    for i, line in enumerate(lines[1:], 1):
        text = line.strip()
        depth = len(line) - len(line.lstrip())
        if text and (depth < indent or (depth == indent and not text.startswith(("-", "]")))):
            break
        if len(line) <= _MAX_WIDTH:
            body.append(line)
        last = i if text else last
    statuses = _parse("\n".join(body), is_json='"' in lines[0].split(":")[0])
    for status in statuses if isinstance(statuses, list) else []:
        if isinstance(status, dict) and isinstance(status.get("name"), str):
            _container(notes, status)
    return notes.done(last)


def _container(notes: Notes, status: dict[str, Any]) -> None:
    state, before = status.get("state") or {}, status.get("lastState") or {}
    ended = state.get("terminated") or before.get("terminated") or {}
    waiting = (state.get("waiting") or {}).get("reason")
    reason = ended.get("reason")
    notes.record(
        "container",
        0,
        name=status["name"],
        image=status.get("image"),
        running="running" in state,
        restarts=status.get("restartCount"),
        exit_status=ended.get("exitCode"),
        reason=reason,
        waiting=waiting,
        oom_killed=reason == "OOMKilled" if reason else None,
    )
    if reason:
        notes.fact("host.container_oom_killed", reason == "OOMKilled", 0)


def _parse(text: str, *, is_json: bool) -> Any:
    if is_json:
        try:
            return json.JSONDecoder().raw_decode("[" + text.rstrip().rstrip(",").removesuffix("]") + "]")[0]
        except (ValueError, RecursionError):
            return None
    import yaml

    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return yaml.load(text[:65536], loader) if "&" not in text and "*" not in text else None  # noqa: S506 - a safe one
    except (yaml.YAMLError, RecursionError):
        return None
