"""Trials before and after a change -> what they prove. Nothing is started and nothing read here but what trials wrote.

A failure is recognised by ``doctor.analyze`` alone. A figure differs only beyond the noise of its repeats.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

from doctor.vocabulary.document import Confirmation, Measure, TrialEntry
from doctor.vocabulary.terms import Outcome, Severity

if TYPE_CHECKING:
    from doctor.trial.runners import Trial
    from doctor.vocabulary.document import Diagnosis, Finding

SURE = 0.05
"""A difference counts when chance alone would give it at most this often (one-sided)."""
LEAST_GAIN = 0.03
"""And only from this share on: what nobody would notice is no cure."""
LEAST_REPEATS = 3
"""With fewer no order of the figures is rarer than ``SURE``: of 3 and 3 the extreme one has 1/20."""
TEST = "exact one-sided rank-sum test (Wilcoxon 1945, Mann and Whitney 1947), p <= 0.05, and a gain of 3 % at least"

_ROLES = {"root_cause", "contributing"}
_GRAVE = Severity.MAJOR.rank
_WORDS = {
    "exited": "ended",
    "killed": "crashed",
    "out_of_memory": "was killed for memory",
    "deadline": "ran past the deadline",
    "stalled": "gave no sign of life",
    "lost": "was lost",
}


# --- figures -------------------------------------------------------------------------------------------------------


def rank_sum_chance(lower: Sequence[float], higher: Sequence[float]) -> float:
    """The chance that figures of one kind, dealt at random, would give ``higher`` as large a rank sum as it has.

    The exact one-sided p of Wilcoxon's rank-sum test (F. Wilcoxon, Individual Comparisons by Ranking Methods, 1945;
    H. B. Mann and D. R. Whitney, 1947), by counting all ways to deal; equal figures share their ranks.

    Raises:
        ValueError: one of them is empty, or there are more than 20 figures.
    """
    figures = [*lower, *higher]
    if not lower or not higher or len(figures) > 20:
        raise ValueError("between 1 and 19 figures on each side, 20 in all")
    order = sorted(figures)
    # Twice the mean rank, which is whole: 1-based places of the equal ones.
    ranks = [2 * order.index(each) + order.count(each) + 1 for each in figures]
    seen = sum(ranks[len(lower) :])
    ways = [sum(dealt) for dealt in combinations(ranks, len(higher))]
    return sum(way >= seen for way in ways) / len(ways)


@dataclass(frozen=True, slots=True)
class Figure:
    """What is measured of a trial. ``least``: below this, in its unit, a difference is not worth a word."""

    name: str
    unit: str
    more_is_better: bool
    of: Callable[[Trial], float | None]
    least: float = 0.0


def _answers(trial: Trial, of: Callable[[Any], float | None]) -> float | None:
    found = [value for answer in trial.outcome.answers if answer.is_good and (value := of(answer)) is not None]
    return median(found) if found else None


def _used(name: str) -> Callable[[Trial], float | None]:
    return lambda trial: float(getattr(trial.ending.usage, name)) or None if trial.ending is not None else None


FIGURES = (
    Figure("load time", "s", False, lambda trial: trial.ready if trial.serves else None, 0.02),
    Figure("time to first token", "s", False, lambda trial: _answers(trial, lambda answer: answer.first), 0.005),
    Figure("prompt", "tokens/s", True, lambda trial: _answers(trial, lambda answer: answer.prompt_rate)),
    Figure("generation", "tokens/s", True, lambda trial: _answers(trial, _long)),
    Figure("peak anonymous memory", "bytes", False, _used("anonymous"), 4 << 20),
    Figure("peak mapped pages", "bytes", False, _used("mapped"), 4 << 20),
    Figure("bytes read", "bytes", False, _used("read"), 4 << 20),
)
CLAIMS = {
    "speed.generation": "generation",
    "speed.prompt": "prompt",
    "speed.first_token": "time to first token",
    "load_seconds": "load time",
    "memory.anonymous": "peak anonymous memory",
}
"""What a rule's ``confirm.measures`` names, and the figure that shows it."""


def _long(answer: Any) -> float | None:
    """A rate over a handful of tokens is none."""
    return answer.rate if answer.tokens >= 16 else None


def measure(before: Sequence[Trial], after: Sequence[Trial]) -> list[Measure]:
    """The table: medians, spreads, and whether they differ beyond the noise; without what neither side shows."""
    found = []
    for figure in FIGURES:
        old = [value for trial in before if (value := figure.of(trial)) is not None]
        new = [value for trial in after if (value := figure.of(trial)) is not None]
        if old or new:
            found.append(_compared(figure.name, figure.unit, figure.more_is_better, old, new, figure.least))
    return found


def _compared(name: str, unit: str, more: bool, old: list[float], new: list[float], least: float) -> Measure:
    entry = Measure(name=name, unit=unit, repeats=max(len(old), len(new)))
    if old:
        entry.before, entry.before_spread = median(old), max(old) - min(old)
    if new:
        entry.after, entry.after_spread = median(new), max(new) - min(new)
    if min(len(old), len(new)) >= LEAST_REPEATS:
        up = differs(old, new, least)
        down = differs(new, old, least)
        entry.change = "noise" if not up and not down else "better" if up == more else "worse"
    return entry


def differs(lower: Sequence[float], higher: Sequence[float], least: float = 0.0) -> bool:
    """Whether ``higher`` lies above ``lower`` beyond the noise, by a share that counts."""
    gain = median(higher) - median(lower)
    if gain <= least or gain < LEAST_GAIN * abs(median(lower)):
        return False
    lower, higher = list(lower)[:10], list(higher)[:10]
    return rank_sum_chance(lower, higher) <= SURE


# --- trials --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Judged:
    """A trial with the diagnosis of what it wrote."""

    trial: Trial
    document: Diagnosis

    @property
    def causes(self) -> list[Finding]:
        """Root causes first; without those that are only likely, as the input lacks what would decide them."""
        found = [finding for finding in self.document.findings if finding.role in _ROLES and not finding.missing_facts]
        return sorted(found, key=lambda finding: finding.role != "root_cause")

    def has(self, rule_id: str) -> Finding | None:
        return next((each for each in self.document.findings if each.rule_id == rule_id), None)

    def shown(self, rule_id: str | None) -> Finding | None:
        """The finding of that rule, or else the first cause."""
        return (self.has(rule_id) if rule_id else None) or next(iter(self.causes), None)

    @property
    def outcome(self) -> Outcome:
        """How it ended, by what we saw ourselves; the log's own story where we saw nothing."""
        trial, ending = self.trial, self.trial.ending
        if trial.not_run:
            return Outcome.UNKNOWN
        if trial.hung or (ending is not None and ending.why == "stalled"):
            return Outcome.HUNG
        if ending is not None and not trial.stopped:
            if ending.why in {"out_of_memory", "deadline"} or ending.signal == "SIGKILL":
                return Outcome.KILLED
            if ending.signal is not None:
                return Outcome.CRASHED
            if ending.status:
                return Outcome.FAILED_TO_START if trial.ready is None else Outcome.CRASHED
            if trial.ready is None:
                return Outcome.FAILED_TO_START
        if not trial.outcome.is_through:
            return Outcome.REQUESTS_FAILING
        return Outcome.DEGRADED if self.document.verdict == "degraded" else Outcome.HEALTHY

    @property
    def words(self) -> str:
        """What became of it, in a few words."""
        trial, ending = self.trial, self.trial.ending
        if trial.not_run:
            return trial.not_run.splitlines()[0]
        if trial.hung:
            return "hung: no sign of life" + (f", waiting in {ending.waiting[0]}" if ending and ending.waiting else "")
        if ending is not None and not trial.stopped and (ending.why != "exited" or ending.status):
            how = ending.signal or f"status {ending.status}"
            what = "was killed" if ending.why == "killed" and how == "SIGKILL" else _WORDS.get(ending.why, ending.why)
            when = "" if not trial.serves else " before it was ready" if trial.ready is None else " while it worked"
            return f"{what} ({how}){when}"
        if not trial.outcome.is_through:
            return trial.outcome.failure()
        return "ready, workload through" if trial.serves else "ran to its end"

    def entry(self, which: Literal["before", "after"], rule_id: str | None = None) -> TrialEntry:
        finding = self.shown(rule_id)
        ending = self.trial.ending
        return TrialEntry(
            which=which,
            command=self.trial.setup.text or self.trial.address,
            outcome=self.outcome.value,
            ended=self.words,
            rule_id=finding.rule_id if finding else None,
            seconds=round(ending.seconds, 3) if ending else 0.0,
            evidence=list(finding.evidence[:3]) if finding else [],
        )


# --- what they prove -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Effect:
    """Whether a changed setting is in effect: the engine printed it, nothing of it, or another value."""

    state: Literal["seen", "not_seen", "missing"]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """What is to be proven.

    Attributes:
        rule_id: the failure that must be there before and gone after; None: whatever goes wrong before.
        wrapper: the rule only says that the reason is hidden: naming it is what is claimed.
        measures: figures that must improve, by their names in the table.
        rules: of the rule book, id -> kind, to tell a named cause from a wrapper.
    """

    rule_id: str | None = None
    wrapper: bool = False
    measures: tuple[str, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)


Verdict = tuple[Literal["confirmed", "refuted", "inconclusive"], str]


def judge(
    before: Sequence[Judged], after: Sequence[Judged], claim: Claim, effect: Effect, table: Sequence[Measure]
) -> Verdict:
    """The verdict and its reason in one sentence."""
    missing = _not_run(before, "before") or (_not_run(after, "after") if after else None)
    if missing:
        return "inconclusive", missing
    if claim.measures:
        return _by_figures(before, after, claim, effect, table)
    stray = not_reproduced(before, claim)
    if stray:
        return "inconclusive", stray
    if not after:
        return "inconclusive", "no trial after the change"
    if effect.state == "missing":
        return "inconclusive", f"the change did not take effect: {effect.text}"
    if claim.wrapper:
        return _named(after, claim)
    old = _beside(before, claim)
    bad = next((each for each in after if _failure(each, claim, old)), None)
    if bad is None:
        return "confirmed", f"{_what(before, claim)} before, and {_healthy(after)} after"
    same = [each for each in after if is_failure(each, claim, before)]
    if same:
        some = f" in {len(same)} of {len(after)} trials" if len(same) < len(after) else ""
        return "refuted", f"the failure is still there after the change{some}: {_told(same[0], claim)}"
    return "refuted", f"it trades one failure for another: {_told(bad, claim)}"


def not_reproduced(before: Sequence[Judged], claim: Claim) -> str | None:
    """Why the trials before the change don't show the failure; None when they do."""
    if missing := _not_run(before, "before"):
        return missing
    if any(is_failure(each, claim, ()) for each in before):
        return None
    other = next((each for each in before if _failure(each, claim)), None)
    if other is not None and claim.rule_id is not None:
        return f"failure not reproduced: it failed in another way, {_told(other, claim)}"
    return f"failure not reproduced: {before[0].words if before else 'no trial'}"


def is_failure(each: Judged, claim: Claim, before: Sequence[Judged]) -> bool:
    """Whether a trial shows the failure that is spoken of."""
    if claim.rule_id is not None:
        found = each.has(claim.rule_id)
        return found is not None and (found.role in _ROLES or found.severity.rank >= _GRAVE)
    failure = _failure(each, claim)
    if not failure or not before:
        return bool(failure)
    return failure in {_failure(one, claim) for one in before}


def _beside(before: Sequence[Judged], claim: Claim) -> set[str]:
    """What was found before as well, beside the failure that is spoken of: it did not take that one's place."""
    if claim.rule_id is None:
        return set()
    return {finding.rule_id for each in before for finding in each.document.findings} - {claim.rule_id}


def _failure(each: Judged, claim: Claim, old: Collection[str] = ()) -> str:
    """What went wrong in a trial: a rule's id, or how it ended; empty when nothing did.

    A cause of no great weight, or an ``old`` one, beside a workload that went through is no failure, unless it is the
    one spoken of.
    """
    for finding in each.causes:
        if finding.rule_id == claim.rule_id or (finding.severity.rank >= _GRAVE and finding.rule_id not in old):
            return finding.rule_id
    if each.outcome.bad:
        return each.outcome.value
    return ""


def _told(each: Judged, claim: Claim) -> str:
    finding = each.shown(claim.rule_id)
    return f"{each.words} ({finding.rule_id})" if finding else each.words


def _what(before: Sequence[Judged], claim: Claim) -> str:
    shown = next(each for each in before if is_failure(each, claim, ()))
    return _told(shown, claim)


def _healthy(after: Sequence[Judged]) -> str:
    return after[0].words if len(after) == 1 else f"{after[0].words} in {len(after)} trials"


def _named(after: Sequence[Judged], claim: Claim) -> Verdict:
    """For a rule that says that the reason is hidden."""
    for each in after:
        named = next((f for f in each.causes if claim.kinds.get(f.rule_id) == "cause" and not f.missing_facts), None)
        if named is not None:
            return "confirmed", f"the reason is named now: {named.rule_id}, {named.summary}"
    if all(not each.outcome.bad for each in after):
        return "inconclusive", "it did not fail again, so there was no reason to name"
    return "refuted", f"the reason is still hidden: {after[0].words}"


def _not_run(trials: Sequence[Judged], which: str) -> str | None:
    for each in trials:
        if each.trial.not_run:
            return f"the trial {which} the change could not be run: {each.trial.not_run.splitlines()[0]}"
    return None if trials else f"no trial {which} the change"


def _by_figures(
    before: Sequence[Judged], after: Sequence[Judged], claim: Claim, effect: Effect, table: Sequence[Measure]
) -> Verdict:
    broken = next((each for each in after if each.outcome.bad), None)
    if broken is not None and not any(each.outcome.bad for each in before):
        return "refuted", f"it trades speed for a failure: {_told(broken, claim)}"
    if effect.state == "missing":
        return "inconclusive", f"the change did not take effect: {effect.text}"
    entries = [entry for entry in table if entry.name in claim.measures]
    if not entries or any(entry.before is None or entry.after is None for entry in entries):
        return "inconclusive", f"{' and '.join(claim.measures)} could not be measured on both sides"
    if any(not entry.change for entry in entries):
        return "inconclusive", f"fewer than {LEAST_REPEATS} repeats can't tell a gain from noise"
    told = "; ".join(_gain(entry) for entry in entries)
    if any(entry.change == "worse" for entry in entries):
        return "refuted", told
    if all(entry.change == "better" for entry in entries):
        return "confirmed", told
    return "inconclusive", f"within the noise of {entries[0].repeats} repeats: {told}"


def _gain(entry: Measure) -> str:
    old, new = entry.before or 0.0, entry.after or 0.0
    share = f" ({(new - old) / old:+.0%})" if old else ""
    return f"{entry.name} {number(old, entry.unit)} -> {number(new, entry.unit)}{share}"


def number(value: float | None, unit: str) -> str:
    """A figure of the table for people."""
    from doctor.units import format_size

    if value is None or not math.isfinite(value):
        return "-"
    if unit == "bytes":
        return format_size(value)
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"


def confirmation(
    before: Sequence[Judged], after: Sequence[Judged], claim: Claim, effect: Effect, **more: Any
) -> Confirmation:
    """The whole entry for the document."""
    table = measure([each.trial for each in before], [each.trial for each in after])
    verdict, reason = judge(before, after, claim, effect, table)
    return Confirmation(
        verdict=verdict,
        reason=reason,
        failure=claim.rule_id or next((name for each in before if (name := _failure(each, claim))), None),
        effect=effect.state if after else "",
        effect_text=effect.text,
        measures=table,
        trials=[
            *(each.entry("before", claim.rule_id) for each in before),
            *(each.entry("after", claim.rule_id) for each in after),
        ],
        **more,
    )
