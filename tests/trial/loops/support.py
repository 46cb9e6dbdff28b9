"""One loop: a failure really seen, a remedy, and what the confirmation says of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from doctor.trial.confirm import confirm
from doctor.trial.runners import Clocks
from doctor.trial.setup import Setup
from doctor.trial.wanted import Wanted
from doctor.vocabulary.document import Confirmation, Diagnosis

CLOCKS = Clocks(deadline=90, stall=8)


def tried(document: Diagnosis) -> dict[str, Confirmation]:
    """Remedy id -> confirmation, of all that were tried."""
    return {
        remedy.id: remedy.confirmation
        for finding in document.findings
        for remedy in finding.remedies
        if remedy.confirmation is not None
    }


def loop(setup: Setup, fixed: Setup | None = None, **more: Any) -> tuple[Diagnosis, Confirmation]:
    """Confirms, and gives the last trial's confirmation: the confirmed one, if one was."""
    wanted = replace(Wanted(setup=setup, fixed=fixed, clocks=CLOCKS), **more)
    document = confirm(wanted)
    found = tried(document)
    assert found, [finding.rule_id for finding in document.findings]
    told = next((one for one in found.values() if one.verdict == "confirmed"), list(found.values())[-1])
    return document, told


def cured(told: Confirmation, rule_id: str) -> None:
    """The failure was there before, and after the change everything worked."""
    assert told.verdict == "confirmed", (told.reason, told.trials)
    assert told.failure == rule_id
    before = [trial for trial in told.trials if trial.which == "before"]
    after = [trial for trial in told.trials if trial.which == "after"]
    assert before
    assert after
    assert all(trial.rule_id == rule_id for trial in before)
    assert all(trial.evidence for trial in before)
    assert all(trial.outcome == "healthy" for trial in after)
    assert all(trial.rule_id != rule_id for trial in after)
