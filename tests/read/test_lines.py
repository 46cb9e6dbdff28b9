from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from doctor.read.lines import LineMap, restore
from doctor.vocabulary.document import (
    Diagnosis,
    EngineEntry,
    EvidenceLine,
    Finding,
    HistoryEntry,
    RunEntry,
    SettingEntry,
    SourceEntry,
    Unexplained,
)
from doctor.vocabulary.terms import Outcome, Severity


@given(blocks=st.lists(st.lists(st.integers(1, 5000), max_size=30), max_size=8))
def test_every_line_is_found_again(blocks: list[list[int]]) -> None:
    lines = LineMap()
    for block in blocks:
        lines.add(block)
    numbers = [number for block in blocks for number in block]
    assert [lines.line(at) for at in range(1, len(numbers) + 1)] == numbers


def test_consecutive_blocks_need_one_entry() -> None:
    lines = LineMap()
    for block in range(1000):
        lines.add(range(block * 300 + 1, block * 300 + 301))
    assert lines.is_plain
    assert len(lines._blocks) == 1
    assert lines.line(299_999) == 299_999


def test_an_irregular_map_stays_small() -> None:
    lines = LineMap()
    number = 1
    for block in range(200):
        numbers = []
        for line in range(1000):
            numbers.append(number)
            number += 18 if (block + line) % 7 else 21
        lines.add(numbers)
    assert not lines.is_plain
    assert sum(len(packed or b"") for _, packed in lines._blocks) < 200_000  # a byte a line


def test_a_finished_diagnosis_gets_the_lines_of_the_file() -> None:
    lines = LineMap()
    lines.add([5, 23, 44, 60])
    document = Diagnosis(
        llmdoctor="0",
        verdict="failing",
        sources=[SourceEntry(path="a", lines=4), SourceEntry(path="b", lines=4)],
        runs=[
            RunEntry(id="r", engine=EngineEntry(), outcome=Outcome.CRASHED, source="a", first_line=1, last_line=4),
            RunEntry(id="s", engine=EngineEntry(), outcome=Outcome.CRASHED, source="b", first_line=1, last_line=4),
        ],
        settings=[
            SettingEntry(name="context", origin="a:2 (effective)"),
            SettingEntry(name="slots", origin="--command (command line)"),
        ],
        findings=[
            Finding(
                id="f",
                rule_id="x",
                family="y",
                role="root_cause",
                severity=Severity.MAJOR,
                confidence="high",
                title="",
                evidence=[EvidenceLine(path="a", line=3, text=""), EvidenceLine(path="b", line=3, text="")],
            )
        ],
        history=[HistoryEntry(rule_id="x", title="", count=1, runs=[], first="a:1", last="b:1")],
        unexplained=[Unexplained(path="a", line=4, text="")],
    )
    document.runs[0].origins = {"engine.name": "a:3 (effective)", "memory.kv": "computed"}
    document.settings[0].declared_at = "a:2 (command line)"
    restore(document, {"a": lines})
    assert [entry.lines for entry in document.sources] == [60, 4]
    assert [(run.first_line, run.last_line) for run in document.runs] == [(5, 60), (1, 4)]
    assert [setting.origin for setting in document.settings] == ["a:23 (effective)", "--command (command line)"]
    assert [line.line for line in document.findings[0].evidence] == [44, 3]
    assert (document.history[0].first, document.history[0].last) == ("a:5", "b:1")
    assert document.unexplained[0].line == 60
    assert document.runs[0].origins == {"engine.name": "a:44 (effective)", "memory.kv": "computed"}
    assert document.settings[0].declared_at == "a:23 (command line)"
