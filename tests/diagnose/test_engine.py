"""Judging, on small rule books: what is the root cause, what is not, and what is left open."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor.api import conclude
from doctor.facts.config.argv import parse_command
from doctor.intake import Intake
from doctor.vocabulary.document import Diagnosis, Finding
from doctor.vocabulary.facts import Layer, Origin
from tests.helpers import book, diagnose, rule, scanned

START = "base engine 1.2\n"
READY = START + "base: listening\n"


def roles(document: Diagnosis) -> dict[str, str]:
    return {finding.rule_id: finding.role for finding in document.findings}


def root(document: Diagnosis) -> Finding:
    found = [finding for finding in document.findings if finding.role == "root_cause"]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("lines", "outcome"),
    [
        ("base: loading\nbase: aborted\n", "failed_to_start"),
        ("base: loading\nbase: listening\nbase: aborted\n", "crashed"),
        ("base: aborted\n", "crashed"),
    ],
)
def test_a_crash_while_loading_is_a_failed_start(tmp_path: Path, lines: str, outcome: str) -> None:
    assert diagnose(book(tmp_path, rule("goes-boom")), START + lines).runs[0].outcome == outcome


def test_a_cause_with_its_evidence_and_neighbours(tmp_path: Path) -> None:
    document = diagnose(book(tmp_path, rule("goes-boom")), START + "one\ntwo\nboom at home\nthree\n")
    finding = root(document)
    line = finding.evidence[0]
    assert (line.path, line.line, line.text) == ("log0", 4, "boom at home")
    assert line.before[-1] == "two"
    assert line.after[0] == "three"
    assert line.captures == {"boom.place": "home"}
    assert document.verdict == "failing"
    assert document.runs[0].outcome == "failed_to_start"


def test_a_start_up_error_before_ready_is_advice(tmp_path: Path) -> None:
    made = book(tmp_path, rule("goes-boom", phase="load"))
    document = diagnose(made, START + "boom at home\nbase: listening\nbase: answered\n")
    assert roles(document) == {"goes-boom": "advice"}
    assert document.verdict == "healthy"


def test_an_error_while_serving_is_not_taken_back(tmp_path: Path) -> None:
    made = book(tmp_path, rule("goes-boom", phase="request", severity="major"))
    document = diagnose(made, READY + "boom at home\nbase: answered\n")
    assert root(document).rule_id == "goes-boom"
    assert document.runs[0].outcome == "requests_failing"


def test_one_request_that_fails_is_taken_back_by_the_next(tmp_path: Path) -> None:
    made = book(tmp_path, rule("goes-boom", phase="request", severity="major") + "transient: true\n")
    failing = diagnose(made, READY + "base: answered\nboom at home\n")
    assert (root(failing).rule_id, failing.runs[0].outcome) == ("goes-boom", "requests_failing")
    passing = diagnose(made, READY + "boom at home\nbase: answered\n")
    assert (roles(passing), passing.verdict) == ({"goes-boom": "advice"}, "healthy")
    again = diagnose(made, READY + "boom at home\nbase: answered\n" * 4)
    assert root(again).rule_id == "goes-boom"


def test_minor_causes_and_advice_never_alarm(tmp_path: Path) -> None:
    made = book(tmp_path, rule("small", severity="minor"), rule("hint", kind="advice"))
    document = diagnose(made, READY + "boom at home\n")
    assert set(roles(document).values()) == {"advice"}
    assert document.verdict == "healthy"


def test_a_wrapper_yields_to_a_cause_and_answers_alone(tmp_path: Path) -> None:
    wrapper = rule(
        "it-died", kind="wrapper", family="unknown", signatures="{died: 'worker died'}", match="{all: [died]}"
    )
    made = book(tmp_path, rule("goes-boom"), wrapper)
    assert roles(diagnose(made, START + "boom at home\nworker died\n")) == {
        "goes-boom": "root_cause",
        "it-died": "symptom",
    }
    alone = diagnose(made, START + "worker died\n")
    assert roles(alone) == {"it-died": "root_cause"}
    assert alone.findings[0].collect == ["the log"]


def test_the_more_specific_reading_of_the_same_line_is_the_answer(tmp_path: Path) -> None:
    made = book(tmp_path, rule("general"), rule("special", match="{all: [boom, \"boom.place == 'home'\"]}"))
    assert roles(diagnose(made, START + "boom at home\n")) == {"special": "root_cause"}
    assert roles(diagnose(made, START + "boom at sea\n")) == {"general": "root_cause"}


def test_the_earlier_of_two_causes_leads(tmp_path: Path) -> None:
    other = rule("goes-bang", signatures="{bang: 'bang'}", match="{all: [bang]}")
    document = diagnose(book(tmp_path, rule("goes-boom"), other), START + "bang\nboom at home\n")
    assert roles(document) == {"goes-bang": "root_cause", "goes-boom": "contributing"}


def test_the_mere_kind_of_a_failure_only_follows_from_one_that_is_known(tmp_path: Path) -> None:
    kind = rule("some-bang", signatures="{bang: 'bang'}", match="{all: [bang]}") + "specificity: -12\n"
    made = book(tmp_path, rule("goes-boom", severity="major"), kind)
    assert roles(diagnose(made, START + "bang\nboom at home\n")) == {"goes-boom": "root_cause", "some-bang": "symptom"}
    assert roles(diagnose(made, START + "bang\n")) == {"some-bang": "root_cause"}


def test_a_wrapper_may_say_what_it_nearly_always_is(tmp_path: Path) -> None:
    signatures = {"signatures": "{died: 'worker died'}", "match": "{all: [died]}"}
    made = book(tmp_path, rule("it-died", kind="wrapper", family="memory.host-oom", **signatures))
    assert root(diagnose(made, START + "worker died\n")).family == "memory.host-oom"


def test_explains_makes_a_symptom_of_a_cause(tmp_path: Path) -> None:
    later = rule("the-cause", signatures="{why: 'because'}", match="{all: [why]}") + "explains: [goes-boom]\n"
    document = diagnose(book(tmp_path, rule("goes-boom"), later), START + "boom at home\nbecause\n")
    assert roles(document) == {"the-cause": "root_cause", "goes-boom": "symptom"}
    assert root(document).explains == [finding.id for finding in document.findings if finding.role == "symptom"]


def test_engine_ranges(tmp_path: Path) -> None:
    affected = '[{name: base, affected: ">=1.0,<1.3", fixed: "1.3"}]'
    made = book(tmp_path, rule("goes-boom", engines=affected))
    assert root(diagnose(made, START + "boom at home\n")).confidence == "high"
    assert roles(diagnose(made, "base engine 1.3\nboom at home\n")) == {}
    assert root(diagnose(made, "base engine 1.3rc1\nboom at home\n")).confidence == "high", "a candidate is affected"
    assert root(diagnose(made, "base: loading\nboom at home\n")).confidence == "medium", "version not known"
    assert root(diagnose(made, "boom at home\n")).confidence == "medium", "engine not known"


def test_a_rule_reaches_wrappers_and_doubts_an_unseen_one(tmp_path: Path) -> None:
    on_base = book(tmp_path / "a", rule("goes-boom", engines="[{name: base}]"))
    assert root(diagnose(on_base, "wrap v0.9 starts\nboom at home\n")).confidence == "high"
    on_wrap = book(tmp_path / "b", rule("goes-boom", engines="[{name: wrap}]"))
    assert root(diagnose(on_wrap, START + "boom at home\n")).confidence == "medium", "a wrapper may stand around it"
    on_other = book(tmp_path / "c", rule("goes-boom", engines="[{name: kernel}]"))
    assert roles(diagnose(on_other, START + "boom at home\n")) == {}


def test_an_unknown_fact_lowers_confidence_and_is_named(tmp_path: Path) -> None:
    made = book(tmp_path, rule("goes-boom", match='{all: [boom, "setting.context > 100"]}'))
    known = diagnose(made, START + "base: context = 512\nboom at home\n")
    assert root(known).confidence == "high"
    assert roles(diagnose(made, START + "base: context = 64\nboom at home\n")) == {}


def test_could_not_judge_names_the_missing_input(tmp_path: Path) -> None:
    made = book(tmp_path, rule("goes-boom", match='{all: [boom, "host.ram_total > 100"]}'))
    document = diagnose(made, START + "boom at home\n")
    finding = root(document)
    assert finding.confidence == "medium"
    assert finding.missing_facts == ["host.ram_total"]
    assert document.could_not_judge[0].rules == ["goes-boom"]
    assert "free" in document.could_not_judge[0].hint


def test_a_certain_cause_beats_a_possible_one(tmp_path: Path) -> None:
    possible = rule("maybe", match='{all: [boom, "host.ram_total > 100"]}', signatures="{boom: 'early'}")
    document = diagnose(book(tmp_path, rule("goes-boom"), possible), START + "early\nboom at home\n")
    assert roles(document) == {"goes-boom": "root_cause", "maybe": "advice"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("first\nsecond\n", True),
        ("first\n" + "x\n" * 5 + "second\n", False),
        ("second\nfirst\n", False),
        ("first\nx\nsecond\nstop\n", False),
    ],
)
def test_sequences(tmp_path: Path, text: str, found: bool) -> None:
    made = book(
        tmp_path,
        rule(
            "in-order",
            signatures="{first: 'first', second: 'second', stop: 'stop'}",
            match="{sequence: [{first}, {second, within_lines: 3}], none: [stop]}",
        ),
    )
    assert bool(diagnose(made, START + text).findings) is found


def test_count_and_not_followed_by(tmp_path: Path) -> None:
    often = rule("often", signatures="{again: 'again'}", match="{count: {signature: again, at_least: 3}}")
    lost = rule(
        "lost", signatures="{ask: 'asked', reply: 'replied'}", match="{not_followed_by: {signature: ask, by: reply}}"
    )
    made = book(tmp_path, often, lost)
    assert roles(diagnose(made, START + "again\nagain\n")) == {}
    assert roles(diagnose(made, START + "again\nagain\nagain\n")) == {"often": "root_cause"}
    assert roles(diagnose(made, START + "asked\nreplied\n")) == {}
    assert roles(diagnose(made, START + "replied\nasked\n")) == {"lost": "root_cause"}


def test_arithmetic_is_shown_with_its_inputs(tmp_path: Path) -> None:
    made = book(
        tmp_path,
        rule("goes-boom", compute='{half: "setting.context // 2"}', summary="only {{ half }} of {{ setting.context }}"),
    )
    finding = root(diagnose(made, START + "base: context = 512\nboom at home\n"))
    assert finding.summary == "only 256 of 512"
    assert finding.computed[0].value == 256
    assert finding.computed[0].inputs == {"setting.context": 512}


def test_the_last_run_counts_and_the_rest_is_history(tmp_path: Path) -> None:
    made = book(tmp_path, rule("goes-boom"))
    crash = START + "boom at home\nbase: aborted\n"
    healthy = diagnose(made, crash * 3 + READY + "base: answered\n")
    assert healthy.verdict == "healthy"
    assert roles(healthy) == {}
    assert (healthy.history[0].rule_id, healthy.history[0].count) == ("goes-boom", 3)
    assert (healthy.history[0].first, healthy.history[0].last) == ("log0:2", "log0:8")
    everything = diagnose(made, crash * 3 + READY, which="all")
    assert [finding.rule_id for finding in everything.findings] == ["goes-boom"] * 3
    second = diagnose(made, crash * 3 + READY, which="2")
    assert second.findings[0].evidence[0].line == 5


def test_lines_of_a_driver_script_are_not_matched(tmp_path: Path) -> None:
    assert roles(diagnose(book(tmp_path, rule("goes-boom")), START + "python: boom at home\n")) == {}


def test_unexplained_lines_are_grouped(tmp_path: Path) -> None:
    text = START + "error 17 in 'a'\nerror 18 in 'b'\nbase: error is harmless\nfatal: other\nboom at home: error\n"
    document = diagnose(book(tmp_path, rule("goes-boom")), text)
    assert [(group.line, group.count) for group in document.unexplained] == [(2, 2), (5, 1)]


def test_settings_show_declared_and_effective(tmp_path: Path) -> None:
    intake = Intake()
    command = parse_command("base-server -c 8192 --no-mmap")
    assert command is not None
    intake.given.commands.append((command, Origin("--command", None, Layer.COMMAND_LINE)))
    document = diagnose(book(tmp_path), READY + "base: context = 512\n", intake=intake)
    settings = {entry.name: (entry.declared, entry.effective) for entry in document.settings}
    assert settings["context"] == (8192, 512)
    assert settings["mmap"] == (False, None)


def test_a_remedy_changes_the_command_line(tmp_path: Path) -> None:
    remedies = (
        "[{id: smaller, title: 'Use {{ setting.context // 2 }}', removes: cause, "
        "actions: [{kind: set_flag, flag: --ctx-size, value: '{{ setting.context // 2 }}'}]}]"
    )
    intake = Intake()
    command = parse_command("base-server -c 8192")
    assert command is not None
    intake.given.commands.append((command, Origin("--command", None, Layer.COMMAND_LINE)))
    document = diagnose(book(tmp_path, rule("goes-boom", remedies=remedies)), START + "boom at home\n", intake=intake)
    remedy = root(document).remedies[0]
    assert remedy.title == "Use 4096"
    assert remedy.diff == "- base-server -c 8192\n+ base-server --ctx-size 4096"


def test_a_remedy_that_raises_another_finding_says_so(tmp_path: Path) -> None:
    remedies = (
        "[{id: bigger, title: Bigger, removes: cause, actions: [{kind: set_flag, flag: --ctx-size, value: '99999'}]}]"
    )
    too_big = rule("too-big", signatures="{}", match='{all: ["setting.context > 10000"]}')
    document = diagnose(book(tmp_path, rule("goes-boom", remedies=remedies), too_big), START + "boom at home\n")
    assert root(document).remedies[0].raises == ["too-big"]


def test_one_broken_rule_does_not_take_the_others_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = book(tmp_path, rule("goes-boom"), rule("broken", signatures="{b: 'boom'}", match='{all: [b, "b.x == 1"]}'))
    made.nodes["b.x == 1"] = ["nonsense"]
    intake = Intake()
    from tests.helpers import scanned

    intake.scanned = scanned(made, START + "boom at home\n")
    from doctor.api import conclude

    document = conclude(intake, made)
    assert root(document).rule_id == "goes-boom"
    assert any("broken" in problem.subject for problem in document.problems) or "broken" not in roles(document)


def test_of_rotated_logs_the_newest_has_the_last_run(tmp_path: Path) -> None:
    made = book(tmp_path, rule("goes-boom"))
    taken = Intake()
    # In the order in which a folder lists them.
    taken.scanned = scanned(made, READY, START + "boom at home\n")
    for source, path in zip(taken.scanned, ("server.log", "server.log.1"), strict=True):
        source.path = path
    document = conclude(taken, made)
    assert document.verdict == "healthy"
    assert [entry.rule_id for entry in document.history] == ["goes-boom"]
