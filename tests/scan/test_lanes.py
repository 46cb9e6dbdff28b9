"""Services that speak in one log at the same time, and those that only follow each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers import book, diagnose, rule, timeline

BROKEN = ["base engine 1.2", "base: context = 512", "boom at load", "base: aborted"]
FINE = ["base engine 1.3", "base: context = 64", "base: listening", "base: answered"]


def _in_turns(first: str, second: str) -> str:
    pairs = zip(BROKEN, FINE, strict=True)
    return "".join(f"{first}{broken}\n{second}{fine}\n" for broken, fine in pairs)


PREFIXES = [
    ("Mar 20 10:00:00 box srv[101]: ", "Mar 20 10:00:00 box srv[202]: "),
    ("2026-03-20T10:00:00+0000 box srv[101]: ", "2026-03-20T10:00:00+0000 box other[202]: "),
    ("chat-1   | ", "embed-1  | "),
    ("[pod/chat-0/srv] ", "[pod/chat-1/srv] "),
]


@pytest.mark.parametrize(("first", "second"), PREFIXES)
def test_services_that_speak_in_turns_are_judged_each_by_its_own_lines(tmp_path: Path, first: str, second: str) -> None:
    document = diagnose(book(tmp_path, rule("goes-boom")), _in_turns(first, second))
    assert [(run.engine.version, run.outcome.value) for run in document.runs] == [
        ("1.2", "crashed"),
        ("1.3", "healthy"),
    ]
    assert [run.facts["setting.context"] for run in document.runs] == [512, 64]
    assert [(finding.role, finding.incident) for finding in document.findings] == [
        ("root_cause", document.runs[0].incident)
    ]


def test_lives_that_follow_each_other_are_of_one_service_whatever_their_processes(tmp_path: Path) -> None:
    lines = [f"Mar 20 10:00:00 box srv[101]: {text}" for text in BROKEN]
    lines += [f"Mar 20 10:00:09 box srv[202]: {text}" for text in FINE]
    found = timeline(book(tmp_path), "\n".join(lines) + "\n").runs
    assert [(run.first_line, run.last_line) for run in found] == [(1, 4), (5, 8)]
    assert len({(run.node, run.path, run.lane) for run in found}) == 1


def test_a_restart_beside_another_service_is_a_life_of_the_same_one(tmp_path: Path) -> None:
    text = _in_turns(*PREFIXES[0]) + "".join(f"Mar 20 10:00:09 box srv[303]: {line}\n" for line in FINE)
    text += "Mar 20 10:00:10 box srv[202]: base: answered\n"
    document = diagnose(book(tmp_path, rule("goes-boom")), text)
    assert document.verdict == "healthy"
    assert [entry.rule_id for entry in document.history] == ["goes-boom"]


def test_lines_without_a_process_of_an_engine_go_with_the_line_before(tmp_path: Path) -> None:
    text = _in_turns("chat-1   | ", "embed-1  | ") + "chat-1   | base: context = 7\nboom at exit\n"
    found = timeline(book(tmp_path, rule("goes-boom")), text).runs
    assert [[seen.number for seen in run.observations if seen.key.startswith("r:")] for run in found] == [[5, 10], []]
