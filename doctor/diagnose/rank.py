"""Which of the rules that hold is the root cause, and what the others are to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from doctor.vocabulary.terms import Evidence, Kind, Outcome, Phase, Severity

if TYPE_CHECKING:
    from doctor.diagnose.match import Candidate
    from doctor.vocabulary.document import Confidence, Role

_BEFORE_READY = {Phase.BUILD, Phase.START, Phase.LOAD, Phase.CONTEXT, Phase.WARMUP}
# A rule that knows only the kind of a failure (an exception's class, say) carries this specificity: behind any other.
GENERIC = -10
# Requests that fail so often are no slip of one client: work between them takes nothing back. Our choice.
PERSISTENT = 4
_LEVELS: tuple[Confidence, ...] = ("high", "medium", "low")


@dataclass(slots=True)
class Judged:
    """A candidate with its role in the incident."""

    candidate: Candidate
    role: Role
    recovered: bool = False
    explains: list[Judged] = field(default_factory=list)

    @property
    def confidence(self) -> Confidence:
        """High, less a step each: engine or version not known, facts missing, a claim that is only inferred."""
        steps = self.candidate.steps_down
        if not self.candidate.holds:
            steps += 1
        if self.candidate.rule.evidence is Evidence.INFERRED and not self.candidate.strengthened:
            steps += 1
        return _LEVELS[min(steps, 2)]


def judge(candidates: list[Candidate]) -> list[Judged]:
    """Roles within one incident, most important first. At most one is the root cause.

    A wrapper is the root cause only when no cause is there; a cause that a later sign of life took back, and advice,
    never is.
    """
    judged = [Judged(candidate, "advice", recovered=recovered(candidate)) for candidate in candidates]
    causes = [j for j in judged if j.candidate.rule.kind is Kind.CAUSE and not j.recovered and _weighty(j)]
    wrappers = [j for j in judged if j.candidate.rule.kind is Kind.WRAPPER and not j.recovered]
    certain = [j for j in causes if j.candidate.holds]
    explained = _explained(certain or causes)
    order = sorted(causes, key=lambda j: (j.candidate.rule.id in explained, *_weight(j)))
    root = order[0] if order else None
    if wrappers and (root is None or (not root.candidate.holds and root.candidate.steps_down)):
        # A cause that neither its facts nor its engine confirm is a guess: what certainly happened comes first.
        root = min(wrappers, key=_weight)
    if root is not None:
        root.role = "root_cause"
    for other in judged:
        if other is root or other.recovered:
            continue
        if other in wrappers:
            other.role = "symptom"
        elif other in causes and root is not None:
            other.role = _beside(other, root, explained)
        if other.role == "symptom" and root is not None and not _shadowed(other, root):
            root.explains.append(other)
    shown = [j for j in judged if root is None or j is root or not _shadowed(j, root)]
    rank = {"root_cause": 0, "contributing": 1, "symptom": 2, "advice": 3}
    return sorted(shown, key=lambda j: (rank[j.role], *_weight(j)))


def _shadowed(other: Judged, root: Judged) -> bool:
    """Whether it is only another, weaker reading of lines that the root cause stands on."""
    lines = {(hit.source, hit.number) for _, hit in other.candidate.evidence}
    return bool(lines) and lines <= {(hit.source, hit.number) for _, hit in root.candidate.evidence}


def _explained(causes: list[Judged]) -> set[str]:
    """Rules that these causes take for their symptoms. One about a product that was not seen explains only what
    no engine's own rule says."""
    return {
        name
        for cause in causes
        for name in cause.candidate.rule.explains
        if not cause.candidate.unseen_wrapper
        or not any(other.candidate.rule.engines for other in causes if other.candidate.rule.id == name)
    }


def _weighty(judged: Judged) -> bool:
    """A cause below `major` never makes a run fail: it is advice."""
    return judged.candidate.rule.severity.rank >= Severity.MAJOR.rank


def _weight(judged: Judged) -> tuple[bool, bool, bool, int, bool, int, tuple[int, int]]:
    """Sorts: certain before possible, a rule about its failure before one that only knows its kind (GENERIC),
    products that were seen before those that may be there, graver, what the first traceback says before
    what it led to, more specific (an unknown version costs a step of it), earlier."""
    candidate = judged.candidate
    return (
        not candidate.holds,
        candidate.rule.specificity <= GENERIC,
        candidate.unseen_wrapper,
        -candidate.rule.severity.rank,
        _is_late(candidate),
        candidate.steps_down - specificity(candidate),
        candidate.line,
    )


def _is_late(candidate: Candidate) -> bool:
    """Whether it stands only on a traceback that came after the first: of another rank, or of who waited for it."""
    run = candidate.run
    first = run.first_thrown() if run is not None else None
    hits = [hit for _, hit in candidate.evidence if hit.run is run]
    if run is None or first is None or not hits:
        return False
    after = [seen for seen in run.tracebacks if seen is not first and seen.first.line.number > first.first.line.number]
    return any(hits[0].number in seen.lines for seen in after)


def specificity(candidate: Candidate) -> int:
    """How much had to be true: conditions, a version range, and what the rule adds by itself."""
    ranged = any(entry["affected"] for entry in candidate.rule.engines)
    return candidate.conditions + (2 if ranged else 0) + candidate.rule.specificity


def _beside(other: Judged, root: Judged, explained: set[str]) -> Role:
    """What a cause that isn't the root is: the root's symptom, its companion, or only possible."""
    if other.candidate.rule.id in explained:
        return "symptom"
    if not other.candidate.holds:
        return "advice"
    generic = other.candidate.rule.specificity <= GENERIC < root.candidate.rule.specificity
    if generic and other.candidate.run is root.candidate.run:
        return "symptom"  # the kind of a failure, in a run whose failure is known
    return "contributing"


def _passing(candidate: Candidate) -> bool:
    return candidate.rule.transient and candidate.lines < PERSISTENT


def recovered(candidate: Candidate) -> bool:
    """Whether the same run went on to be ready, or to do real work, after the error.

    Only failures of the start-up can be taken back so, and transient ones as long as they are few: a server that
    answered before it died has not recovered, nor has one that refuses again and again.
    """
    run = candidate.run
    places = [hit.number for _, hit in candidate.evidence if run is not None and hit.run is run]
    if run is None or not places or not (candidate.rule.phase in _BEFORE_READY or _passing(candidate)):
        return False
    died = run.outcome in {Outcome.CRASHED, Outcome.KILLED, Outcome.FAILED_TO_START}
    signs = {"ready", "progress"} if died else {"ready", "progress", "stopping"}
    return any(marker.means in signs and marker.line > max(places) for marker in run.markers)
