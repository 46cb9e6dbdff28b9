"""Exceptions that no rule knows, and which of many ranks' tracebacks is the evidence."""

from __future__ import annotations

from pathlib import Path

from doctor.api import analyze
from tests.helpers import book, diagnose, rule

FIXTURES = Path(__file__).parents[2] / "fixtures" / "traceback"
START = "base engine 1.2\n"
TRACEBACK = 'Traceback (most recent call last):\n  File "/x.py", line 1, in f\n    raise failed("error")\n'


def test_eight_ranks_have_one_root_cause_at_the_earliest() -> None:
    document = analyze([FIXTURES / "tp8-out-of-memory"])
    roots = [finding for finding in document.findings if finding.role == "root_cause"]
    assert [finding.rule_id for finding in roots] == ["vllm-weights-out-of-memory"]
    assert any(line.line == 31 and "Worker_TP5" in line.text for line in roots[0].evidence)
    assert document.unexplained == []


def test_an_exception_of_eight_ranks_is_told_once() -> None:
    document = analyze([FIXTURES / "tp8-unknown-exception"])
    roots = [finding for finding in document.findings if finding.role == "root_cause"]
    assert [(finding.family, 47 in {line.line for line in finding.evidence}) for finding in roots] == [
        ("engine.bug", True)
    ]
    assert document.unexplained == []


def test_exceptions_come_before_other_errors_and_without_their_stacks(tmp_path: Path) -> None:
    text = START + "error one\n" * 5 + TRACEBACK + "ValueError: too large\n" + "RuntimeError: failed\n"
    found = diagnose(book(tmp_path), text).unexplained
    assert [(group.text, group.count) for group in found][:2] == [("ValueError: too large", 1), ("error one", 5)]
    assert not any("raise" in group.text for group in found)


def test_what_only_repeats_an_exception_is_not_told(tmp_path: Path) -> None:
    text = START + TRACEBACK + "ValueError: too large\n" + TRACEBACK + "RuntimeError: worker: ValueError: too large\n"
    assert [group.text for group in diagnose(book(tmp_path), text).unexplained] == ["ValueError: too large"]


def test_a_cause_on_a_later_traceback_is_not_the_root(tmp_path: Path) -> None:
    early = rule("early", signatures="{early: 'KeyError: early'}", match="{all: [early]}")
    late = rule("late", signatures="{late: 'OSError: late'}", match="{all: [late]}") + "specificity: 5\n"
    made = book(tmp_path, early, late)
    text = START + TRACEBACK + "KeyError: early\n" + TRACEBACK + "OSError: late\n"
    assert [(finding.rule_id, finding.role) for finding in diagnose(made, text).findings] == [
        ("early", "root_cause"),
        ("late", "contributing"),
    ]
    alone = diagnose(made, START + "KeyError: early\nOSError: late\n")
    assert alone.findings[0].rule_id == "late", "without tracebacks the more specific one leads"


def test_lines_of_several_processes_stand_farther_apart(tmp_path: Path) -> None:
    steps = "{sequence: [{first}, {second, within_lines: 3, same_proc: true}]}"
    made = book(tmp_path, rule("in-order", signatures="{first: 'first', second: 'second'}", match=steps))
    made.dialects["base"]["procs"] = [r"\((?P<proc>rank\d)\)"]
    ranks = [f"(rank{rank}) " for rank in range(4)]
    lines = [f"{rank}first error\n" for rank in ranks] + [f"{rank}x error\n" for rank in ranks] * 2
    far = START + "".join(lines) + "(rank0) second\n"
    assert [finding.rule_id for finding in diagnose(made, far).findings] == ["in-order"]
    other = START + "(rank0) first\n(rank1) second\n"
    assert diagnose(made, other).findings == []


def _fatal(tmp_path: Path, text: str) -> list[str]:
    """What a rule about exceptions that end a run finds."""
    found = rule(
        "ends", signatures="{ends: 'ValueError: (?P<why>.+)'}", match='{all: [ends, "ends.line in thrown.lines"]}'
    )
    return [finding.evidence[0].text for finding in diagnose(book(tmp_path, found), text).findings]


def test_a_rule_can_ask_for_the_exception_that_ended_the_run(tmp_path: Path) -> None:
    chained = TRACEBACK + "KeyError: 1\nDuring handling of the above exception, another exception occurred:\n"
    assert _fatal(tmp_path, START + TRACEBACK + "ValueError: too large\n") == ["ValueError: too large"]
    assert _fatal(tmp_path, START + chained + TRACEBACK + "ValueError: last\n") == ["ValueError: last"]
    assert _fatal(tmp_path, START + "one\nValueError: all that is left\n") == ["ValueError: all that is left"]


def test_what_a_server_survives_ends_no_run(tmp_path: Path) -> None:
    caught = TRACEBACK + "ValueError: caught\n"
    assert _fatal(tmp_path, START + caught + "base: listening\n") == []
    assert _fatal(tmp_path, START + "base: listening\n" + caught) == []
    assert _fatal(tmp_path, START + caught + "loading\n" * 60) == [], "the log goes on"
    assert _fatal(tmp_path, START + "ValueError: a warning\n" + "loading\n" * 9) == []
    served = START + "base: listening\n" + caught + "base: answered\n"
    assert _fatal(tmp_path, served + TRACEBACK + "ValueError: fatal\nbase: aborted\n") == ["ValueError: fatal"]


def test_a_rule_that_knows_only_the_kind_stands_behind_the_others(tmp_path: Path) -> None:
    kind = rule("kind", signatures="{kind: 'KeyError: early'}", match="{all: [kind]}") + "specificity: -10\n"
    late = rule("late", signatures="{late: 'OSError: late'}", match="{all: [late]}", severity="major")
    text = START + TRACEBACK + "KeyError: early\n" + TRACEBACK + "OSError: late\n"
    assert [finding.rule_id for finding in diagnose(book(tmp_path, kind, late), text).findings] == ["late", "kind"]
    wrapper = rule("around", kind="wrapper", signatures="{around: 'killed'}", match="{all: [around]}")
    text = START + TRACEBACK + "KeyError: early\nkilled\n"
    assert diagnose(book(tmp_path, kind, wrapper), text).findings[0].rule_id == "kind"
