"""What every format says of a document: who is ill, which change to make first, where a finding points, its identity.

Nothing here is computed anew: it is all read from the document.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from doctor.report.page import clean
from doctor.units import format_size
from doctor.vocabulary.document import Diagnosis, Finding, MemoryEntry, RemedyEntry, RunEntry, Suppressed
from doctor.vocabulary.terms import Outcome, Severity

MAIN_ROLES = ("root_cause", "risk")
ROLE_TITLES = {
    "root_cause": "Root cause",
    "risk": "Risk",
    "contributing": "It contributes",
    "symptom": "What follows from it",
    "advice": "Advice",
}
REMOVES = {"cause": "cures it", "trigger": "avoids it", "symptom": "only eases it"}
_OUTCOMES = {
    Outcome.FAILED_TO_START: "failed to start",
    Outcome.HUNG: "hangs",
    Outcome.REQUESTS_FAILING: "runs, but requests fail",
    Outcome.DEGRADED: "runs slower or weaker than asked",
    Outcome.HEALTHY: "runs as it should",
    Outcome.UNKNOWN: "how it ended is not in the input",
}
_NOT_THE_SERVER = {"systemd", "linux-kernel", "container", "python", "torch", "nccl", "ray"}
_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+\d+(?:,\d+)? @@")


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file, from 1: of a log, or of the configuration that has to change."""

    path: str
    line: int
    kind: Literal["config", "log"]


def shown(text: str) -> str:
    """Several lines from outside: control and bidi characters replaced, line ends kept."""
    return "\n".join(clean(line) for line in text.split("\n"))


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def main_findings(document: Diagnosis) -> list[Finding]:
    """What the verdict rests on: root causes, or the risks of a deployment."""
    return [finding for finding in document.findings if finding.role in MAIN_ROLES]


def engine_name(run: RunEntry) -> str:
    """``llama-box v0.0.117``; "the server" when the log does not say."""
    if run.engine.name in _NOT_THE_SERVER:
        return "the server"
    return (
        " ".join(part for part in (run.engine.product or run.engine.name, run.engine.version) if part) or "the server"
    )


def ended(run: RunEntry) -> str:
    return _OUTCOMES.get(run.outcome) or run.outcome.value.replace("_", " ")


def headline_run(document: Diagnosis) -> RunEntry | None:
    """The run that the headline is about: the root cause's, else the worst of those judged."""
    by_id = {run.id: run for run in document.runs}
    for finding in main_findings(document):
        for name in finding.runs:
            if name in by_id:
                return by_id[name]
    parents = {run.parent for run in document.runs}
    judged = [run for run in document.runs if run.incident and run.id not in parents]
    services = [run for run in judged if run.engine.product != "rpc-server"] or judged
    ill = [run for run in services if run.outcome.bad or run.outcome is Outcome.DEGRADED]
    return next(iter(ill or services), None)


def headline(document: Diagnosis) -> str:
    """``llama-box v0.0.117: crashed``."""
    run = headline_run(document)
    if run is not None:
        return f"{engine_name(run)}: {ended(run)}"
    return {"at_risk": "this deployment is at risk", "clear": "nothing speaks against this deployment"}.get(
        document.verdict, "no server was recognised"
    )


def to_copy(remedy: RemedyEntry) -> str:
    """The change as one would type or apply it: the diff, else flags, variables and words, one a line."""
    if remedy.diff:
        return shown(remedy.diff)
    lines = []
    for action in remedy.actions:
        kind, value = action.get("kind"), action.get("value")
        if kind == "set_flag":
            lines.append(f"{action.get('flag', '')} {'' if value is None else value}".strip())
        elif kind == "set_env":
            lines.append(f"{action.get('variable', '')}={value}")
        elif kind != "explain" and action.get("text"):
            lines.append(str(action["text"]))
    return shown("\n".join(lines) or remedy.title)


def words_of(remedy: RemedyEntry) -> str:
    """Its actions in words: ``add --no-mmap; unset X``."""
    return "; ".join(str(action.get("text", "")) for action in remedy.actions if action.get("kind") != "explain")


def notes_of(remedy: RemedyEntry) -> list[str]:
    return [str(action.get("text", "")) for action in remedy.actions if action.get("kind") == "explain"]


def place_to_change(finding: Finding) -> Place | None:
    """The line of a configuration file that the first remedy changes, read from its diff."""
    diff = finding.remedies[0].diff if finding.remedies else None
    if not diff or not diff.startswith("--- "):
        return None
    lines = diff.splitlines()
    path, number = lines[0][4:].strip(), 0
    for line in lines[2:]:
        if hunk := _HUNK.match(line):
            number = int(hunk[1])
        elif line.startswith("-"):
            return Place(path, max(number, 1), "config")
        elif line.startswith("+"):
            return Place(path, max(number - 1, 1), "config")  # a new line is told at the one above it
        else:
            number += 1
    return None


def place_of(finding: Finding) -> Place | None:
    """Where a finding points: the line to change, else the line of the log that proves it."""
    change = place_to_change(finding)
    if change is None and finding.evidence:
        return Place(finding.evidence[0].path, max(finding.evidence[0].line, 1), "log")
    return change


def first_place(document: Diagnosis) -> Place:
    """A place for what has none: the beginning of the first file."""
    return Place(document.sources[0].path if document.sources else "input", 1, "log")


def fingerprints(document: Diagnosis) -> dict[str, str]:
    """Finding id -> 32 hex digits that stay when paths, lines and wording change.

    They come from the rule, the engine (without its version) and the position among equal ones.
    """
    engines = {run.id: run.engine.name or "" for run in document.runs}
    seen: Counter[str] = Counter()
    found = {}
    for finding in in_order(document):
        engine = next((engines[run] for run in finding.runs if run in engines), "")
        key = f"llmdoctor/1|{finding.rule_id}|{engine}"
        seen[key] += 1
        found[finding.id] = hashlib.sha256(f"{key}|{seen[key]}".encode("utf-8", "replace")).hexdigest()[:32]
    return found


def in_order(document: Diagnosis) -> list[Finding]:
    """Findings with those that are suppressed in their places, so that none of them counts otherwise for it."""
    every = [*document.findings, *(entry.finding for entry in document.suppressed)]
    return sorted(every, key=_number) if document.suppressed else every


def _number(finding: Finding) -> int:
    digits = finding.id.removeprefix("f")
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 9 else 0


def is_grave(finding: Finding) -> bool:
    """Whether it speaks for itself: what only follows from something else, and advice, do not."""
    return finding.role in {"root_cause", "contributing", "risk"}


def level(finding: Finding) -> Literal["error", "warning", "note"]:
    """How loud a finding is in formats that know three levels."""
    if not is_grave(finding):
        return "note"
    return {Severity.FATAL: "error", Severity.MAJOR: "error", Severity.MINOR: "warning"}.get(finding.severity, "note")  # type: ignore[return-value]


def memory_line(entry: MemoryEntry) -> str:
    """``CUDA1: weights 10.8 GiB + kv 892.5 MiB = 11.7 GiB of 11.3 GiB free, 1.0 GiB short``."""
    parts = " + ".join(
        f"{part.kind} {format_size(part.bytes)}{' (estimate)' if part.source == 'estimate' else ''}"
        for part in entry.parts
    )
    text = f"{entry.device}: {parts}"
    if len(entry.parts) > 1:
        text += f" = {format_size(sum(part.bytes for part in entry.parts))}"
    if entry.free is not None:
        text += f" of {format_size(entry.free)} free"
    return f"{text}, {format_size(entry.missing)} short" if entry.missing else text


def accepted(entry: Suppressed) -> str:
    """``until 2027-01-31: the new cards come in January [llmdoctor-baseline.toml:5]``."""
    until = f"until {entry.until}: " if entry.until else ""
    return f"{until}{entry.reason} [{entry.path}:{entry.line}]"


def joined(texts: Iterable[str]) -> str:
    return " ".join(text.strip() for text in texts if text.strip())
