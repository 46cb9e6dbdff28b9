"""The same failure in another house: other names, paths, hosts, devices, sizes and prefixes; the root cause stays.

A rule that looks at a name or a number of the log that it was written from fails here.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import yaml

from doctor.api import analyze
from tests.test_fixtures import CASES, HEALTHY, expectation, name

pytestmark = pytest.mark.slow

Files = dict[Path, str]
_MODEL_FILE = re.compile(r"[\w.+-]+?(?=(?:[-._](?:I?Q\d\w*|[BbFf][Pp]?16|[Ff]32|mmproj))?(?:-\d{5}-of-\d{5})?\.gguf\b)")
_PRIVATE = re.compile(r"(?<![\w.])(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d{1,3}){2,3}(?![\w.])")
_OWN_FOLDER = re.compile(r"(?<![\w.~-])/(?:home|Users|srv|mnt|media|models|data|workspace)/[\w.-]+(?=/)")
_SIZE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)(?=(?: ?/ ?\d+(?:\.\d+)?)? ?(?:MiB|GiB|MB|GB|kB|KiB)(?!\w))")
_DEVICE = re.compile(r"\b(CUDA|ROCm|Vulkan|SYCL|CANN|MUSA)(\d)\b")
_PLATFORM_PREFIX = re.compile(
    r"(?:[\w.-]+ *\| |\[pod/|<\d+>|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d |\d{4}-\d\d-\d\dT\S+ std(?:out|err) [PF] |\{\")"
)


def _logs(box: Path, files: Files, expect: dict[str, Any]) -> set[Path]:
    """What an engine printed, without a platform's prefix: not the kernel's log, not saved output or configuration."""
    document = analyze([box], command=expect.get("command"), exit=expect.get("exit"))
    logs = {Path(source.path) for source in document.sources if source.kind == "log"}
    return {path for path, text in files.items() if path in logs and _is_bare(path, text)}


def _is_bare(path: Path, text: str) -> bool:
    lines = [line for line in text.splitlines() if line.strip()]
    prefixed = sum(bool(_PLATFORM_PREFIX.match(line)) for line in lines)
    return prefixed * 10 < len(lines) and not re.match(r"dmesg|journal|kern", path.name)


def _other_word(word: str) -> str:
    """Another name of the same length and the same kinds of characters."""
    small, digits = "nqwrtzvbxs", "5082739461"
    return "".join(
        (
            small[(ord(c) + i) % 10]
            if c.islower()
            else small[(ord(c) + i) % 10].upper()
            if c.isupper()
            else digits[int(c)]
        )
        if c.isascii() and c.isalnum()
        else c
        for i, c in enumerate(word)
    )


def other_models(files: Files, logs: set[Path]) -> Files:
    names = {found[0] for text in files.values() for found in _MODEL_FILE.finditer(text)}
    longest = sorted((word for word in names if len(word) > 2), key=len, reverse=True)

    def renamed(text: str) -> str:
        for word in longest:
            text = re.sub(rf"(?<![\w.+-]){re.escape(word)}(?=[-._])", _other_word(word), text)
        return text

    return {path: renamed(text) for path, text in files.items()}


def other_folders(files: Files, logs: set[Path]) -> Files:
    return {path: _OWN_FOLDER.sub("/opt/stack7/volume-b", text) for path, text in files.items()}


def other_addresses(files: Files, logs: set[Path]) -> Files:
    def moved(found: re.Match[str]) -> str:
        parts = found[0].split(".")
        return ".".join(["10", "77", *parts[2:]]) if len(parts) == 4 else found[0]

    return {path: _PRIVATE.sub(moved, text) for path, text in files.items()}


def other_sizes(files: Files, logs: set[Path]) -> Files:
    """Half as much again of everything that is told with a unit: needs, limits and what is free alike.

    Only where the log alone tells them: tables of saved output tell sizes without units.
    """
    if len(files) > len(logs):
        return files

    def scaled(found: re.Match[str]) -> str:
        whole, _, part = found[1].partition(".")
        value = float(found[1]) * 1.5
        return f"{value:.{len(part)}f}" if part or whole != "0" else found[0]

    return {path: _SIZE.sub(scaled, text) for path, text in files.items()}


def other_devices(files: Files, logs: set[Path]) -> Files:
    """Only where the log alone speaks of devices: a table of nvidia-smi has its own order."""
    if len(files) > len(logs):
        return files
    return {path: _DEVICE.sub(lambda found: f"{found[1]}{int(found[2]) + 2}", text) for path, text in files.items()}


def compose_prefix(files: Files, logs: set[Path]) -> Files:
    def prefixed(path: Path, text: str) -> str:
        unit = f"{re.sub(r'[^a-z0-9]', '-', path.stem.lower())}-1"
        return "".join(f"{unit}  | {line}" for line in text.splitlines(keepends=True))

    return {path: prefixed(path, text) if path in logs else text for path, text in files.items()}


def journal_prefix(files: Files, logs: set[Path]) -> Files:
    def prefixed(path: Path, text: str) -> str:
        unit = re.sub(r"[^a-z0-9]", "-", path.stem.lower())
        return "".join(f"Nov 20 03:14:15 node-b {unit}[4242]: {line}" for line in text.splitlines(keepends=True))

    return {path: prefixed(path, text) if path in logs else text for path, text in files.items()}


def container_prefix(files: Files, logs: set[Path]) -> Files:
    """As containerd keeps it on a Kubernetes node."""

    def prefixed(text: str) -> str:
        return "".join(f"2026-11-20T03:14:15.000000001Z stderr F {line}" for line in text.splitlines(keepends=True))

    return {path: prefixed(text) if path in logs else text for path, text in files.items()}


def windows_ends(files: Files, logs: set[Path]) -> Files:
    return {
        path: text.replace("\r\n", "\n").replace("\n", "\r\n") if path in logs else text for path, text in files.items()
    }


def colours(files: Files, logs: set[Path]) -> Files:
    def coloured(text: str) -> str:
        return "".join(f"\x1b[31m{line.rstrip()}\x1b[0m\n" if line.strip() else line for line in text.splitlines(True))

    return {path: coloured(text) if path in logs else text for path, text in files.items()}


Mutation = Callable[[Files, set[Path]], Files]
CONTENTS: list[Mutation] = [other_models, other_folders, other_addresses, other_sizes, other_devices]
# What stands around the lines is one mechanism for all rules: each case meets one of these, in turn.
WRAPPINGS: list[Mutation] = [compose_prefix, journal_prefix, container_prefix, windows_ends, colours]


def _texts(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            try:
                yield path, path.read_bytes().decode("utf-8")
            except UnicodeDecodeError:
                continue


def root_causes(folder: Path, expect: dict[str, Any]) -> list[str]:
    document = analyze([folder], command=expect.get("command"), exit=expect.get("exit"))
    assert not [problem for problem in document.problems if problem.stage in {"diagnose", "report", "rules"}]
    return [finding.rule_id for finding in document.findings if finding.role == "root_cause"][:1]


@pytest.mark.parametrize(("case", "wrapping"), list(zip(CASES, cycle(WRAPPINGS))), ids=[name(case) for case in CASES])
def test_the_root_cause_stays(case: Path, wrapping: Mutation, tmp_path: Path) -> None:
    expect = yaml.safe_load(expectation(case).read_text(encoding="utf-8"))
    exempt: dict[str, str] = expect.get("mutations") or {}  # mutation -> why the answer is another one then
    wanted = [] if case in HEALTHY or not expect["root_cause"] else [expect["root_cause"]]
    box = tmp_path / "case"
    shutil.copytree(case, box, ignore=shutil.ignore_patterns("expect.yaml", "made.yaml"))
    files = dict(_texts(box))
    logs = _logs(box, files, expect)
    moved = []
    for mutation in [*CONTENTS, wrapping]:
        changed = mutation(files, logs)
        if changed == files or mutation.__name__ in exempt:
            continue
        for path, text in changed.items():
            path.write_bytes(text.encode("utf-8"))
        if (found := root_causes(box, expect)) != wanted:
            moved.append(f"{mutation.__name__}: {found}")
        for path, text in files.items():
            path.write_bytes(text.encode("utf-8"))
    assert not moved, f"{wanted} became {moved}"


def test_every_mutation_changes_something() -> None:
    texts = {case: dict(_texts(case)) for case in CASES}
    for mutation in CONTENTS + WRAPPINGS:
        assert any(
            mutation(files, {path for path, text in files.items() if _is_bare(path, text)}) != files
            for files in texts.values()
        ), mutation.__name__
