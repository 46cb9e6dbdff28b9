"""A trial as a case: the diagnosis of what it wrote, and what a case says of the trial that should repeat it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctor import __version__
from doctor.api import Examined, Request, examine_request
from doctor.errors import UsageProblem
from doctor.vocabulary.document import Confirmation, Diagnosis, Finding, RemedyEntry
from doctor.vocabulary.terms import Severity

if TYPE_CHECKING:
    from doctor.settings import Choice
    from doctor.trial.compare import Judged
    from doctor.trial.runners import Trial


def look(trial: Trial, rule_folders: Sequence[str] = (), choice: Choice | None = None) -> Examined:
    """The diagnosis of what a trial wrote: as ``llmdoctor analyze`` would give it."""
    setup = trial.setup
    words = [f"{name}={value}" for name, value in setup.env.items() if value is not None]
    # A program that hides what its engine prints is no llama-server, whose flags only stand for its arguments here.
    named = bool(setup.words) and (setup.verbose or not setup.python)
    model = setup.model()
    request = Request(
        paths=trial.paths(),
        command=shlex.join([*words, *setup.words]) if named else None,
        rule_folders=rule_folders,
        choice=choice,
        model=str(model) if model is not None and model.is_file() else None,
    )
    for given in (request, replace(request, model=None)):
        try:
            return examine_request(given)
        except UsageProblem:  # a broken model file, or no command line of an engine: the log alone is enough
            continue
    return examine_request(replace(request, model=None, command=None))


def spoken_of(document: Diagnosis, rule_id: str | None, *, certain: bool = False) -> Finding | None:
    """The failure to look at: of that rule, or else the root cause; ``certain``: not one that is only likely."""
    if rule_id is not None:
        return next((finding for finding in document.findings if finding.rule_id == rule_id), None)
    for role in ("root_cause", "contributing"):
        for finding in document.findings:
            if finding.role == role and not (certain and finding.missing_facts):
                return finding
    return None


def standing(remedy: RemedyEntry) -> int:
    """What was confirmed is the thing to do, what was refuted is not."""
    verdict = remedy.confirmation.verdict if remedy.confirmation is not None else ""
    return {"confirmed": 0, "refuted": 2}.get(verdict, 1)


def figure(text: str, finding: Finding) -> int | None:
    """The value of a name that the finding computed or captured, or a number."""
    if text.isdecimal():
        return int(text)
    for item in finding.computed:
        if item.name == text and isinstance(item.value, (int, float)) and not isinstance(item.value, bool):
            return int(item.value)
    signature, _, capture = text.partition(".")
    for line in finding.evidence:
        value = line.captures.get(capture or signature)
        if (not capture or line.signature == signature) and isinstance(value, int):
            return value
    return None


_FACTS = {
    "memory": ("host.cgroup_limit", "cgroup_limit"),
    "address_space": ("host.address_space_limit", ""),
    "locked_memory": ("host.memlock_limit", ""),
}


def limit_of(case: Examined | None, finding: Finding | None, limit: str) -> int | None:
    """A limit under which the case ran: without it the failure would not come back."""
    if case is None or finding is None:
        return None
    fact, computed = _FACTS[limit]
    values = [run.facts.get(fact) for run in case.document.runs if run.id in finding.runs]
    values += [item.value for item in finding.computed if computed and item.name == computed]
    sizes = [value for value in values if isinstance(value, int) and not isinstance(value, bool) and value > 0]
    return sizes[0] if sizes else None


def no_finding(document: Diagnosis, first: Judged) -> Finding:
    """Where no rule names the failure, its confirmation still has to stand somewhere."""
    document.findings.append(_trial(f"Tried on this machine: {first.words}."))
    return document.findings[-1]


def carrying(told: Confirmation) -> Diagnosis:
    """A document that holds nothing else, for what is done to documents alone."""
    finding = _trial("")
    finding.remedies = [RemedyEntry(id="trial", title="", removes="cause", safety="display_only", confirmation=told)]
    return Diagnosis(llmdoctor=__version__, verdict="unknown", findings=[finding])


def _trial(summary: str) -> Finding:
    return Finding(
        id="trial",
        rule_id="trial",
        family="unknown",
        role="symptom",
        severity=Severity.INFO,
        confidence="high",
        title="A trial of this deployment",
        summary=summary,
        known_by="reproduced",
    )


def without_folder(value: Any, folder: Path) -> Any:
    """Paths of trials as they are named below their folder, which may be gone when they are read."""
    prefix = re.compile(re.escape(f"{folder}/"))
    if isinstance(value, str):
        return prefix.sub("", value) if type(value) is str else value
    if isinstance(value, list):
        return [without_folder(item, folder) for item in value]
    if isinstance(value, dict):
        return {key: without_folder(item, folder) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        for part in fields(value):
            setattr(value, part.name, without_folder(getattr(value, part.name), folder))
    return value
