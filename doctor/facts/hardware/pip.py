"""Python packages: ``pip freeze``, ``pip list``, ``uv pip list``, ``conda list``, and the list of PyTorch's and vLLM's
collect_env, of which the versions above that list are read too."""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading, command_of

kind = "pip"
_NAME = r"[A-Za-z0-9](?:[\w.-]{0,60}[A-Za-z0-9])?"
_VERSION = r"\d[\w.+!-]{0,60}"
_FREEZE = rf"(?:\[(?:pip3?|conda)\] )?(?P<name>{_NAME})==(?P<version>{_VERSION})"
_KNOWN = (
    r"(?:PyTorch version|CUDA used to build PyTorch|ROCM used to build PyTorch|Nvidia driver version|vLLM Version"
    r"|CUDA runtime version)"
)
marker = re.compile(
    rf"^\s*+{_FREEZE}\s*$|^\s*+Package\s+Version\b|^\s*+# Name\s+Version\s+Build|^\s*+{_KNOWN}\s*: ?\S"
    r"|[$#%>] +(?:\S+ +)?(?:python3? -m )?(?:uv )?pip3? (?:freeze|list)\b"
)

_ROW = re.compile(rf"\s*(?P<name>{_NAME})\s+(?P<version>{_VERSION})(?:\s+.*)?")
_COLLECTED = re.compile(rf"\s*(?P<key>{_KNOWN})\s*: ?(?P<value>.*\S)\s*")
_PLACE = re.compile(r"--path[= ](?P<place>\S+)")
_OTHER = re.compile(r"\s*(?:-e \S+.*|\S+ @ \S+.*|#.*|-+(?: +-+)*|\[conda\] .*|)\s*")


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """One ``package`` each; of an editable or a local one pip tells no version."""
    notes = Notes(kind, first_line, path)
    if collected := _COLLECTED.fullmatch(lines[0]):
        return _collected(notes, collected["key"], collected["value"])
    command = command_of(lines[0])
    placed = _PLACE.search(command) if command else None
    place = placed["place"] if placed else ""
    table = re.compile(r"[-\s]*") if command is None and re.match(r"\s*(?:Package|# Name)\s", lines[0]) else None
    last, count = 0, 0
    for i, line in enumerate(lines):
        if i == 0 and (command or table):
            continue
        row = re.fullmatch(rf"\s*{_FREEZE}\s*", line)
        if re.match(r"\s*Package\s+Version\b|\s*# Name\s+Version", line):
            table = re.compile("")
            continue
        row = row or (_ROW.fullmatch(line) if table else None)
        if row:
            count, last = count + 1, i
            name = re.sub(r"[-_.]+", "-", row["name"]).lower()
            notes.record("package", i, name=name, version=row["version"], place=place)
            if name == "torch" and (cuda := re.search(r"\+cu(\d+)(\d)$", row["version"])):
                notes.fact("host.torch_cuda", f"{cuda[1]}.{cuda[2]}", i)
        elif not _OTHER.fullmatch(line):
            break
    return notes.done(last) if count else Reading()


def _collected(notes: Notes, key: str, value: str) -> Reading:
    version = re.match(r"\d[\w.+]*", value)
    if key == "Nvidia driver version" and version:
        notes.fact("host.gpu_driver", version[0], 0)
    elif key == "CUDA used to build PyTorch" and version:
        notes.fact("host.torch_cuda", version[0], 0)
    elif key == "vLLM Version" and version:
        notes.record("package", 0, name="vllm", version=version[0], place="")
    elif key == "PyTorch version" and version:
        notes.record("package", 0, name="torch", version=version[0], place="")
    return notes.done(0)
