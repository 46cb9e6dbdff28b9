"""What servers on a machine answer: ``curl -si http://127.0.0.1:8080/health`` below its command line, and the protocol
that an RPC worker names in its HELLO."""

from __future__ import annotations

import json
import re
from typing import Any

from doctor.facts.hardware.reading import Notes, Reading, command_of
from doctor.vocabulary.facts import Record

kind = "endpoints"
marker = re.compile(r"[$#%>] +curl -\w+ +(?:-\w+ +)*https?://\S+/|^RPC_CMD_HELLO \S+: ")

_CURL = re.compile(r"curl .*?https?://(?P<address>[^/\s]+)(?P<path>/\S*)")
_HELLO = re.compile(r"RPC_CMD_HELLO (?P<address>\S+): (?:protocol (?P<protocol>\d+\.\d+\.\d+)|(?P<said>.*))")
_STATUS = re.compile(r"HTTP/[\d.]+ (?P<code>\d{3})(?: .*)?")
_TROUBLE = re.compile(r"(?:timed out after|no HTTP answer|curl: \(\d+\)).*")


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """One ``endpoint`` for each address."""
    notes = Notes(kind, first_line, path)
    found: dict[str, Record] = {}
    last, i = 0, 0
    while i < len(lines):
        if worker := _HELLO.fullmatch(lines[i].rstrip()):
            known = {"protocol": worker["protocol"], "server": "rpc-server" if worker["protocol"] else None}
            notes.record("endpoint", i, address=worker["address"], error=worker["said"], **known)
            last, i = i, i + 1
            continue
        asked = _CURL.search(command_of(lines[i]) or "")
        if not asked:
            break
        end = i + 1
        while end < len(lines) and not command_of(lines[end]) and not _HELLO.fullmatch(lines[end].rstrip()):
            end += 1
        if asked["address"] not in found:
            found[asked["address"]] = notes.record("endpoint", i, address=asked["address"])
        _answer(found[asked["address"]].fields, asked["path"], [line.rstrip() for line in lines[i + 1 : end]])
        last, i = end - 1, end
    return notes.done(last)


def _answer(fields: dict[str, Any], path: str, lines: list[str]) -> None:
    status = next((found["code"] for line in lines if (found := _STATUS.fullmatch(line))), None)
    if status is None:
        said = next((line for line in lines if _TROUBLE.fullmatch(line)), None)
        if said:
            fields["error"] = said
        return
    server = next((line.partition(":")[2].strip() for line in lines if line.lower().startswith("server:")), None)
    if server:
        fields.setdefault("server", server)
    data = _json(lines)
    if status in {"401", "403"}:
        fields.setdefault("health", "not permitted")
    elif path == "/health":
        told = data.get("status") or _at(data, "error", "message")
        fields["health"] = str(told) if told else "ok" if status == "200" else f"status {status}"
    elif status != "200":
        return
    elif path.endswith("/v1/models") and isinstance(data.get("data"), list):
        fields["models"] = [str(model.get("id")) for model in data["data"][:50] if isinstance(model, dict)]
    elif path == "/props":
        fields["server"] = "llama-server"
        if data.get("build_info"):
            fields["server"] += f" {data['build_info']}"
    elif path == "/api/version" and data.get("version"):
        fields["server"] = f"ollama {data['version']}"


def _at(data: Any, *names: str) -> Any:
    for name in names:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def _json(lines: list[str]) -> dict[str, Any]:
    text = "\n".join(lines)
    start = text.find("{")
    try:
        data = json.JSONDecoder().raw_decode(text, start)[0] if start >= 0 else {}
    except (ValueError, RecursionError):
        data = {}
    return data if isinstance(data, dict) else {}
