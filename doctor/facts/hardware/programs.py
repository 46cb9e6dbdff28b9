"""Engines' programs on PATH, as ``type -a NAME`` prints them, with what the first says of its version."""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading, command_of
from doctor.vocabulary.facts import Record

kind = "programs"
_NAMES = (
    r"llama-\w+|(?:ggml-)?rpc-server|ollama|koboldcpp\S*|llamafile|lms|vllm|sglang|lmdeploy|gpustack|ktransformers"
    r"|text-generation-\w+|llama-cpp-python"
)
marker = re.compile(rf"^(?:{_NAMES}) is /\S")

_IS = re.compile(rf"(?P<name>{_NAMES}) is (?P<path>/.*\S)\s*")
_LINK = re.compile(r"/\S.* -> /\S.*")
_BACKEND = re.compile(r"ggml back end (?P<backend>\w+): .*")
_VERSIONS = (
    re.compile(r"version: (?P<version>\d+ \(\w+\))"),  # llama.cpp: build number and commit
    re.compile(r"version: (?P<version>v?\d[\w.+-]*(?: \([^)]{1,60}\))?)"),
    re.compile(r"(?:ollama version is|client version is|llamafile v?) ?(?P<version>\d[\w.+-]*)"),
    re.compile(r"(?P<version>v?\d+\.\d+[\w.+-]*)"),
)


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """One ``program`` for each place; the first of a name is the one that runs."""
    notes = Notes(kind, first_line, path)
    first: Record | None = None
    asked = False
    last = 0
    for i, line in enumerate(lines):
        if found := _IS.fullmatch(line):
            runs = first is None or first.get("name") != found["name"]
            record = notes.record("program", i, name=found["name"], path=found["path"], first=runs)
            first, asked = (record, False) if runs else (first, False)
        elif first is None:
            break
        elif backend := _BACKEND.fullmatch(line):
            first.fields.setdefault("backends", []).append(backend["backend"])
        elif command := command_of(line):
            if not command.startswith(str(first.get("path"))):
                break
            asked = True
        elif asked and not _LINK.fullmatch(line):
            _version(first, line)
        elif not _LINK.fullmatch(line):
            break
        last = i if line.strip() else last
    return notes.done(last)


def _version(program: Record, line: str) -> None:
    for pattern in _VERSIONS:
        if "version" not in program.fields and (found := pattern.search(line)):
            program.fields["version"] = found["version"]
