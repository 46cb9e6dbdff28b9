"""What trials prove: figures beyond the noise, and outcomes before and after."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from doctor.trial.compare import Claim, Effect, Judged, confirmation, differs, judge, measure, rank_sum_chance
from doctor.trial.launch import Ending, Usage
from doctor.trial.runners import Trial
from doctor.trial.setup import Setup
from doctor.trial.workload import Answer, Outcome, Workload
from doctor.vocabulary.document import Diagnosis, Finding
from doctor.vocabulary.terms import Severity

SEEN = Effect("seen")


def finding(rule_id: str, **more: Any) -> Finding:
    known = {"id": "f1", "family": "x", "role": "root_cause", "severity": Severity.FATAL, "confidence": "high"}
    return Finding(rule_id=rule_id, title=rule_id, summary=f"{rule_id} happened", **{**known, **more})


def trial(
    *rules: str | Finding, status: int | None = None, signal: str | None = None, ready: float | None = 1.0, **more: Any
) -> Judged:
    """A trial that ended by itself if it has a status or signal, and was stopped by us otherwise."""
    made = Trial(Setup(("llama-server",)), Workload("one_prompt"), Path(), ready=ready, address="127.0.0.1:8080")
    ended = status is not None or signal is not None
    why = "stopped" if not ended else "killed" if signal else "exited"
    made.ending = Ending(status, signal, why, 2.0, Usage(**more.pop("usage", {})))  # type: ignore[arg-type]
    made.stopped = not ended
    for name, value in more.items():
        setattr(made, name, value)
    findings = [rule if isinstance(rule, Finding) else finding(rule) for rule in rules]
    return Judged(made, Diagnosis(llmdoctor="0", verdict="failing" if findings else "healthy", findings=findings))


def rated(rate: float) -> Judged:
    answers = Outcome([Answer("a prompt", status=200, tokens=48, first=0.1, rate=rate)])
    return trial(outcome=answers)


# --- figures -------------------------------------------------------------------------------------------------------


def test_chances_of_the_tables() -> None:
    """The extreme order of n and m figures comes up once in (n+m choose n) ways."""
    assert rank_sum_chance([1, 2, 3], [4, 5, 6]) == 1 / 20
    assert rank_sum_chance([1, 2, 3, 4], [5, 6, 7, 8]) == 1 / 70
    assert rank_sum_chance([4, 5, 6], [1, 2, 3]) == 1.0
    assert rank_sum_chance([1, 1, 1], [1, 1, 1]) == 1.0


@given(some.lists(some.integers(0, 4), min_size=2, max_size=6), some.integers(1, 5))
def test_chance_is_that_of_all_orders(figures: list[int], cut: int) -> None:
    """Against the definition: deal the same figures in every order, count those with as large a rank sum."""
    cut = min(cut, len(figures) - 1)
    order = sorted(figures)
    rank = {value: order.index(value) + (order.count(value) + 1) / 2 for value in figures}
    seen = sum(rank[value] for value in figures[cut:])
    orders = list(permutations(figures))
    expected = sum(sum(rank[value] for value in one[cut:]) >= seen - 1e-9 for one in orders) / len(orders)
    assert rank_sum_chance(figures[:cut], figures[cut:]) == pytest.approx(expected)


def test_chance_of_nothing() -> None:
    with pytest.raises(ValueError, match="1 and 19"):
        rank_sum_chance([], [1])


@pytest.mark.parametrize(
    ("lower", "higher", "expected"),
    [
        ([10, 11, 10.5], [20, 21, 22], True),
        ([10, 11, 30], [20, 21, 22], False),  # they overlap
        ([10.0, 10.1, 10.05], [10.2, 10.21, 10.22], False),  # apart, but by less than anybody notices
        ([10, 11], [20, 21], False),  # too few to tell
        ([20, 21, 22], [10, 11, 12], False),
    ],
)
def test_differs(lower: list[float], higher: list[float], expected: bool) -> None:
    assert differs(lower, higher) is expected


def test_table_leaves_out_what_neither_side_shows() -> None:
    table = {entry.name: entry for entry in measure([rated(1.0).trial] * 3, [rated(9.0).trial] * 3)}
    assert table["generation"].before == 1.0
    assert table["generation"].after == median([9.0])
    assert table["generation"].change == "better"
    assert table["load time"].change == "noise"
    assert "bytes read" not in table


# --- verdicts ------------------------------------------------------------------------------------------------------


def verdict(before: list[Judged], after: list[Judged], claim: Claim, effect: Effect = SEEN) -> tuple[str, str]:
    return judge(before, after, claim, effect, measure([b.trial for b in before], [a.trial for a in after]))


BAD = trial("oom", signal="SIGABRT")
GOOD = trial()


@pytest.mark.parametrize(
    ("before", "after", "effect", "expected", "reason"),
    [
        (BAD, GOOD, "seen", "confirmed", "crashed (SIGABRT) while it worked (oom) before, and ready, workload through"),
        (BAD, GOOD, "not_seen", "confirmed", "oom"),
        (BAD, GOOD, "missing", "inconclusive", "did not take effect"),
        (BAD, BAD, "seen", "refuted", "still there"),
        (BAD, trial("oom"), "seen", "refuted", "still there"),
        (BAD, trial("other", status=1, ready=None), "seen", "refuted", "trades one failure for another: ended (status"),
        (BAD, trial(signal="SIGSEGV"), "seen", "refuted", "trades one failure for another: crashed (SIGSEGV)"),
        (BAD, trial(hung=True), "seen", "refuted", "hung"),
        (BAD, trial(outcome=Outcome([Answer("a chat", 500, "HTTP 500")])), "seen", "refuted", "a chat: HTTP 500"),
        (GOOD, GOOD, "seen", "inconclusive", "failure not reproduced: ready, workload through"),
        (trial("other", status=1), GOOD, "seen", "inconclusive", "failed in another way"),
        (BAD, trial(not_run="no such program"), "seen", "inconclusive", "after the change could not be run"),
        (trial(not_run="no such program"), GOOD, "seen", "inconclusive", "before the change could not be run"),
    ],
)  # fmt: skip
def test_verdict_of_a_failure(before: Judged, after: Judged, effect: Any, expected: str, reason: str) -> None:
    told = verdict([before], [after], Claim("oom"), Effect(effect, "the engine says so"))
    assert told[0] == expected, told
    assert reason in told[1]


def test_a_cause_that_is_only_likely_is_no_new_failure() -> None:
    likely = finding("guess", severity=Severity.MAJOR, missing_facts=["host.swap_in"])
    assert verdict([BAD], [trial(likely)], Claim("oom"))[0] == "confirmed"


def test_what_was_there_before_as_well_is_no_new_failure() -> None:
    """A software GPU, say: it had no part in what is gone. Where the workload does not go through, it counts."""
    slow = finding("software-renderer", severity=Severity.MAJOR, role="contributing")
    before = trial("oom", slow, signal="SIGABRT")
    alone = finding("software-renderer", severity=Severity.MAJOR)
    assert verdict([before], [trial(alone)], Claim("oom"))[0] == "confirmed"
    assert verdict([BAD], [trial(alone)], Claim("oom"))[0] == "refuted"
    assert verdict([before], [trial(alone, hung=True)], Claim("oom"))[0] == "refuted"
    assert verdict([trial(alone)], [trial(alone)], Claim())[0] == "refuted"


def test_one_bad_trial_of_three_refutes() -> None:
    told = verdict([BAD], [GOOD, GOOD, BAD], Claim("oom"))
    assert told[0] == "refuted"
    assert "in 1 of 3 trials" in told[1]


def test_hang_without_a_word() -> None:
    """No rule names it; the stall clock does."""
    assert verdict([trial(hung=True)], [GOOD], Claim())[0] == "confirmed"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([10, 11, 12], [20, 21, 22], "confirmed"),
        ([20, 21, 22], [10, 11, 12], "refuted"),
        ([10, 15, 20], [11, 16, 21], "inconclusive"),
        ([10, 11], [20, 21], "inconclusive"),
    ],
)
def test_verdict_of_speed(before: list[float], after: list[float], expected: str) -> None:
    claim = Claim(measures=("generation",))
    assert verdict([rated(x) for x in before], [rated(x) for x in after], claim)[0] == expected


def test_speed_for_a_failure() -> None:
    claim = Claim(measures=("generation",))
    told = verdict([rated(x) for x in (1, 2, 3)], [BAD, rated(9), rated(9)], claim)
    assert told[0] == "refuted"
    assert "trades speed for a failure" in told[1]


def test_speed_that_was_not_measured() -> None:
    claim = Claim(measures=("generation",))
    told = verdict([GOOD] * 3, [GOOD] * 3, claim)
    assert told == ("inconclusive", "generation could not be measured on both sides")


def test_a_hidden_reason_is_named() -> None:
    claim = Claim("hidden", wrapper=True, kinds={"truncated": "cause", "hidden": "wrapper"})
    before = trial("hidden", status=1, ready=None)
    assert verdict([before], [trial("truncated", status=1, ready=None)], claim)[0] == "confirmed"
    assert verdict([before], [before], claim)[0] == "refuted"
    assert verdict([before], [GOOD], claim)[0] == "inconclusive"


def test_document_entry() -> None:
    made = confirmation([BAD], [GOOD], Claim("oom"), Effect("seen", "c = 1"), workload="one prompt")
    assert made.failure == "oom"
    assert [(entry.which, entry.outcome) for entry in made.trials] == [("before", "crashed"), ("after", "healthy")]
    assert made.effect_text == "c = 1"
