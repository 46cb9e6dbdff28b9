"""The verdict in one word and one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from doctor.vocabulary.document import Finding, Verdict
from doctor.vocabulary.terms import Outcome

_WORDS = {
    Outcome.CRASHED: "crashed",
    Outcome.KILLED: "was killed",
    Outcome.FAILED_TO_START: "failed to start",
    Outcome.HUNG: "hangs",
    Outcome.REQUESTS_FAILING: "serves, but requests fail",
    Outcome.DEGRADED: "runs slower or weaker than asked",
    Outcome.STOPPED: "was stopped",
    Outcome.HEALTHY: "is healthy",
    Outcome.UNKNOWN: "ended in a way that the input does not show",
}


def verdict_of(outcomes: Sequence[Outcome], findings: Sequence[Finding]) -> Verdict:
    """``failing`` over ``degraded`` over ``unknown`` over ``healthy``, over all services."""
    roots = [finding for finding in findings if finding.role == "root_cause"]
    if any(outcome.bad for outcome in outcomes):
        return "failing"
    if Outcome.DEGRADED in outcomes:
        return "degraded"
    if roots:
        return "degraded" if all(finding.family.startswith("perf.") for finding in roots) else "failing"
    if outcomes and all(outcome in {Outcome.HEALTHY, Outcome.STOPPED} for outcome in outcomes):
        return "healthy"
    return "unknown"


def sentence(engine: str | None, outcome: Outcome) -> str:
    return f"{engine or 'The program'} {_WORDS[outcome]}"
