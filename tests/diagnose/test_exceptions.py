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


def test_an_unknown_exception_is_told_once() -> None:
    document = analyze([FIXTURES / "tp8-unknown-exception"])
    assert [(group.line, group.count) for group in document.unexplained] == [(47, 8)]
    text = document.unexplained[0].text
    assert text.startswith("AttributeError: 'RotaryEmbedding' object has no attribute 'rope_table' (then ")
    assert "ModelBuildError: rank 3" in text
    root = document.findings[0]
    assert (root.rule_id, [line.line for line in root.evidence]) == ("vllm-start-failed", [15, 47])


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
