"""What a file is: a log, an environment file, a configuration, or saved command output."""

from __future__ import annotations

import re
from typing import Literal

SourceKind = Literal["env", "config", "hardware", "log"]

_HEAD = 64 * 1024
_ENV_NAME = re.compile(
    r"(?:^|/)(?:\.env(?:\.[\w-]+)?|[\w.-]+\.env|environ(?:ment)?)$|/etc/(?:default|sysconfig|conf\.d)/[^/]+$"
)
_UNIT_NAME = re.compile(r"\.(?:service|socket|timer|slice|container)$|\.(?:service|container)\.d/[^/]+\.conf$")
_CONFIG_NAME = re.compile(
    r"(?:^|/)(?:Modelfile|Dockerfile|Containerfile)(?:\.[\w-]+)?$|(?:^|/)(?:docker-)?compose[\w.-]*\.ya?ml$"
)
_UNIT = re.compile(r"^\[(?:Unit|Service|Container)\]\s*$", re.MULTILINE)
_YAML = (  # both lines of a pair must be there
    (re.compile(r"^services:[ \t]*$", re.MULTILINE), re.compile(r"^[ \t]{1,40}(?:image|build|command):", re.MULTILINE)),
    (re.compile(r"^models:[ \t]*$", re.MULTILINE), re.compile(r"^[ \t]{1,40}cmd:", re.MULTILINE)),
    (re.compile(r"^apiVersion: \S", re.MULTILINE), re.compile(r"^kind: \w", re.MULTILINE)),
)
_LAUNCHD = re.compile(r"<plist\b[^>]{0,80}>.{0,20000}?<key>(?:ProgramArguments|Program)</key>", re.DOTALL)
_PRESET = re.compile(  # a section, and a key that only a program of llama.cpp has
    r"^[ \t]*\[[^\]\n]+\][ \t]*$(?:\n.*){0,200}?"
    r"\n[ \t]*(?:model|hf-repo|hf|m|c|ctx-size|n-gpu-layers|ngl|LLAMA_ARG_\w+)[ \t]*=",
    re.MULTILINE,
)
_SCRIPT = re.compile(r"#!\s*/\S*(?:/env\s+)?\b(?:ba|da|z|k|a)?sh\b")
_SCRIPT_NAME = re.compile(r"\.(?:sh|bash|zsh)$")
_ASSIGNMENT = re.compile(r"\s*(?:export\s+|declare\s+-\w+\s+)?[A-Za-z_][A-Za-z0-9_]*=(?!=)\S?.*")
# A time, a level, a component with a colon, a traceback: lines that a program writes while it runs.
_LOG_LINE = re.compile(
    r"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d|^\[?\s*\d+\.\d{6}\]|^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ \S+[:\[]"
    r"|^\d+\.\d\d\.\d{3}\.\d{3} |\b(?:INFO|WARN(?:ING)?|ERROR|DEBUG|FATAL|TRACE)\b|level=\w+|^\{\"log\":"
    r"|^Traceback |^\s*File \".*\", line \d+|^[a-z]\w+(?:::\w+)*: \S|^(?:error|warning|fatal):"
    r"|^(?:ggml|llama|llm|gguf)_\w+|^(?:main|srv|slot|print_info)\b"
)
# logfmt, as ollama, docker and prometheus write it: every line looks like an assignment to "time" or "level"
_LOGFMT = re.compile(r"\s*(?:time|ts|level|t)=\S+ (?:time|ts|level|lvl|msg|source)=")
_MARKER_LINES = 40  # an output may stand below a heading or two, but not far down


def classify(path: str, head: bytes) -> SourceKind:
    """The kind of a file, by its name and first 64 KiB.

    What is none of the others is a log; so is anything in doubt, as a log costs nothing but the scan.
    """
    name = path.replace("\\", "/")
    text = _decode(head[:_HEAD])
    lines = [line for line in text.split("\n") if line.strip()]
    if _UNIT_NAME.search(name) or _CONFIG_NAME.search(name):
        return "config"
    if not lines:
        return "env" if _ENV_NAME.search(name) else "log"
    if len(head) >= _HEAD and len(lines) > 1:
        lines.pop()  # cut in the middle
    if _SCRIPT.match(text) or _SCRIPT_NAME.search(name):
        return "config"
    if "<plist" in text and _LAUNCHD.search(text):
        return "config"
    if name.endswith(".ini") and _PRESET.search(text):
        return "config"
    if _UNIT.search(text) or any(first.search(text) and second.search(text) for first, second in _YAML):
        return "config"
    if _ENV_NAME.search(name) and "\ufffd" not in text:
        return "env"
    if _is_hardware(text, path):
        return "hardware"
    return "env" if _is_env(lines) else "log"


Form = Literal["compose", "kubernetes", "unit", "launchd", "presets", "llama-swap", "script", "modelfile", "env", ""]


def form_of(path: str, text: str) -> Form:
    """The form of a configuration; empty for one that declares nothing that is read (a Dockerfile)."""
    name = path.replace("\\", "/")
    base = name.rsplit("/", 1)[-1]
    services, swap, manifest = _YAML
    if "<plist" in text[:_HEAD] and _LAUNCHD.search(text[:_HEAD]):
        return "launchd"
    if _UNIT_NAME.search(name) or ("\n[" in f"\n{text}" and _UNIT.search(text)):
        return "unit"
    if re.match(r"Modelfile\b", base) or base.endswith(".Modelfile"):
        return "modelfile"
    if _SCRIPT.match(text) or _SCRIPT_NAME.search(base):
        return "script"
    if manifest[0].search(text) and manifest[1].search(text):
        return "kubernetes"
    if swap[0].search(text) and swap[1].search(text):
        return "llama-swap"
    if base.endswith(".ini"):
        return "presets" if _PRESET.search(text) else ""
    if re.search(r"\.ya?ml$", base) or (services[0].search(text) and services[1].search(text)):
        return "compose" if services[0].search(text) or re.match(r"(?:docker-)?compose", base) else ""
    return "" if re.match(r"(?:Docker|Container)file\b", base) else "env"


def _decode(head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head[: len(head) // 2 * 2].decode("utf-16", errors="replace")
    return head.decode("utf-8-sig", errors="replace").replace("\0", "\n")


def _is_env(lines: list[str]) -> bool:
    """Mostly assignments, and none of the other lines from a running program."""
    lines = [line for line in lines if not line.lstrip().startswith(("#", ";"))]
    assigned = [line for line in lines if _ASSIGNMENT.fullmatch(line.rstrip("\r")) and not _LOGFMT.match(line)]
    others = len(lines) - len(assigned)
    return bool(assigned) and others * 4 <= len(assigned)


def _is_hardware(text: str, path: str) -> bool:
    """An output begins in the first lines, outputs make up most of the text, and no log line stands outside of them."""
    from doctor.facts.hardware import read_hardware
    from doctor.facts.hardware.reading import command_of

    blocks = read_hardware(text, path).blocks
    if not blocks or blocks[0].first_line > _MARKER_LINES:
        return False
    inside: set[int] = set()
    for block in blocks:
        inside.update(range(block.first_line, block.last_line + 1))
    outside = 0
    for number, line in enumerate(text.split("\n"), 1):
        if number in inside or not line.strip() or command_of(f"{line} x"):
            continue
        if _LOG_LINE.search(line):
            return False
        outside += 1
    return outside <= 2 * len(inside) + 3
