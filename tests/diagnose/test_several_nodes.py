"""Several machines in one input: whose facts and kernel lines count for which run."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor.api import analyze, conclude
from doctor.facts.config.env import read_env
from doctor.intake import Intake
from doctor.rulebook.book import RuleBook
from doctor.scan.database import Database
from doctor.scan.runs import ScannedSource
from doctor.scan.scanner import scan_text
from doctor.vocabulary.document import Diagnosis, Finding
from doctor.vocabulary.facts import Fact, Origin, Record
from tests.helpers import book, rule

FIXTURES = Path(__file__).parents[2] / "fixtures" / "nodes"
START = "base engine 1.2\n"
READY = START + "base: listening\n"
KILL = "kernel: killed\nOut of memory: Killed process {pid} (base)\n"
KILLED = rule("was-killed", signatures="{kill: 'Killed process'}", match="{all: [kill]}")


def intake(made: RuleBook, *logs: tuple[str, str, str]) -> Intake:
    """``logs``: (machine, path, text)."""
    database = Database(made.patterns(), cache=False)
    taken = Intake()
    for index, (node, path, text) in enumerate(logs):
        taken.scanned.append(ScannedSource(index, path, node, "log", scan_text(text, database)))
        taken.given.node_of[path] = node
    return taken


def diagnose(made: RuleBook, *logs: tuple[str, str, str], which: str = "last") -> Diagnosis:
    return conclude(intake(made, *logs), made, which)


def roots(document: Diagnosis) -> list[Finding]:
    return [finding for finding in document.findings if finding.role == "root_cause"]


def test_two_nodes_with_different_gpus_and_failures() -> None:
    document = analyze([FIXTURES / "two-nodes-two-failures"])
    assert [(finding.rule_id, finding.node) for finding in roots(document)] == [
        ("vram-held-by-others", "node1"),
        ("vram-weights", "node2"),
    ]
    for finding in roots(document):
        assert finding.summary.startswith(f"{finding.node}: ")
        assert all(remedy.title.startswith(f"{finding.node}: ") for remedy in finding.remedies)
        assert finding.summary in document.summary
    devices = {entry.run: entry.total for entry in document.memory if entry.device == "CUDA0"}
    assert len(set(devices.values())) == 2, "each run has the card of its own machine"


def test_the_machine_of_a_worker_explains_the_head() -> None:
    document = analyze([FIXTURES / "rpc-worker-killed"])
    root = roots(document)[0]
    assert (root.rule_id, root.node) == ("kernel-oom-kill-host", "worker-1")
    assert "15.7 GiB of RAM" in root.summary, "the worker's, not the head's"
    lost = next(finding for finding in document.findings if finding.rule_id.startswith("rpc-worker-lost"))
    assert (lost.role, lost.node) == ("symptom", "head")


def test_one_machine_is_not_named(tmp_path: Path) -> None:
    document = diagnose(book(tmp_path, rule("goes-boom")), ("local", "a.log", START + "boom at x\n"))
    assert (roots(document)[0].node, roots(document)[0].summary) == (None, "Summary of goes-boom")


def test_saved_output_informs_the_runs_of_its_machine(tmp_path: Path) -> None:
    made = book(
        tmp_path,
        rule("goes-boom", match='{all: [boom, "host.ram_total > 100"]}', compute='{gpus: "device | count"}'),
    )
    taken = intake(made, ("one", "one/a.log", START + "boom at x\n"), ("two", "two/a.log", START + "boom at y\n"))
    for node, ram, gpus in (("one", 50, 1), ("two", 200, 2)):
        origin = Origin(f"{node}/saved.txt")
        taken.given.node_of[origin.path] = node
        taken.given.facts.append(Fact("host.ram_total", ram, origin))
        taken.given.records += [Record("device", {"index": index}, origin) for index in range(gpus)]
    document = conclude(taken, made)
    assert [(finding.node, finding.confidence) for finding in roots(document)] == [("two", "high")]
    assert roots(document)[0].computed[0].value == 2


def test_what_is_of_no_machine_informs_all(tmp_path: Path) -> None:
    made = book(tmp_path, rule("goes-boom", match='{all: [boom, "host.ram_total > 100"]}'))
    taken = intake(made, ("one", "one/a.log", START + "boom at x\n"), ("two", "two/a.log", START + "boom at y\n"))
    taken.given.facts.append(Fact("host.ram_total", 200, Origin("free.txt")))
    assert {finding.node for finding in roots(conclude(taken, made))} == {"one", "two"}


def test_environment_files_declare_for_their_machine(tmp_path: Path) -> None:
    made = book(tmp_path)
    taken = intake(made, ("one", "one/a.log", READY), ("two", "two/a.log", READY))
    taken.given.env_files.append(read_env("BASE_CTX=777\n", "one/.env"))
    taken.given.node_of["one/.env"] = "one"
    settings = {entry.run: entry.declared for entry in conclude(taken, made).settings if entry.name == "context"}
    assert settings == {"run-1": 777}


def test_kernel_lines_are_judged_with_the_runs_of_their_machine(tmp_path: Path) -> None:
    document = diagnose(
        book(tmp_path, KILLED),
        ("one", "one/a.log", READY),
        ("two", "two/a.log", READY),
        ("two", "two/dmesg", KILL.format(pid=99)),
    )
    assert [(finding.node, finding.incident) for finding in document.findings] == [("two", "incident-2")]
    assert [run.outcome for run in document.runs] == ["healthy", "crashed"]


def test_a_machine_without_runs_speaks_to_the_only_service_or_for_itself(tmp_path: Path) -> None:
    made = book(tmp_path, KILLED)
    one, kernel = ("one", "one/a.log", READY), ("three", "three/dmesg", KILL.format(pid=99))
    assert [finding.incident for finding in diagnose(made, one, kernel).findings] == ["incident-1"]
    document = diagnose(made, one, ("two", "two/a.log", READY), kernel)
    assert [(finding.node, finding.incident) for finding in document.findings] == [("three", "incident-3")]
    assert {run.outcome for run in document.runs} == {"healthy"}


PID = "Nov 04 {hour}:00:00 box base[{pid}]: "


def life(hour: str, pid: int, *lines: str) -> str:
    return "".join(PID.format(hour=hour, pid=pid) + line + "\n" for line in ("base engine 1.2", *lines))


@pytest.mark.parametrize("stamp", ["", "Nov 04 09:30:00 box ", "2026-11-04T09:30:00Z box "])
def test_a_kernel_line_is_about_the_run_whose_process_it_names(stamp: str, tmp_path: Path) -> None:
    made = book(tmp_path, KILLED)
    log = ("local", "a.log", life("09", 11, "base: listening") + life("10", 22, "base: listening"))
    first = diagnose(made, log, ("local", "dmesg", f"kernel: killed\n{stamp}kernel: Killed process 11 (base)\n"))
    assert (first.verdict, first.findings) == ("healthy", [])
    assert [(entry.rule_id, entry.runs) for entry in first.history] == [("was-killed", ["run-1"])]
    second = diagnose(made, log, ("local", "dmesg", f"kernel: killed\n{stamp}kernel: Killed process 22 (base)\n"))
    assert [(finding.rule_id, finding.runs) for finding in second.findings] == [("was-killed", ["run-2"])]


@pytest.mark.parametrize(
    ("stamp", "runs"),
    [
        ("Nov 04 10:30:00 box ", ["run-2"]),
        ("Nov 04 09:30:00 box ", []),
        ("Nov 01 09:30:00 box ", []),
        # on another clock, which may be hours apart, or on none: it may be about the last run
        ("2026-11-01T09:30:00Z box ", ["run-2"]),
        ("[ 123.456789] ", ["run-2"]),
    ],
)
def test_a_kernel_line_of_an_unknown_process_is_about_the_run_of_its_time(
    stamp: str, runs: list[str], tmp_path: Path
) -> None:
    log = ("local", "a.log", life("09", 11, "base: listening") + life("10", 22, "base: listening"))
    kernel = ("local", "dmesg", f"kernel: killed\n{stamp}kernel: Killed process 7 (base)\n")
    found = diagnose(book(tmp_path, KILLED), log, kernel).findings
    assert [finding.evidence[0].path for finding in found] == (["dmesg"] if runs else [])
    assert [run for finding in found for run in finding.runs] in (runs, [])


def test_the_engines_figures_against_the_arithmetic_are_told(tmp_path: Path) -> None:
    case = FIXTURES.parent / "ipex-llm" / "qwen3-235b-serve-mmap"
    assert [problem for problem in analyze([case]).problems if problem.stage == "memory"] == []
    log = (case / "server.log").read_text()
    (tmp_path / "server.log").write_text(log.replace("KV buffer size =   376.00 MiB", "KV buffer size =  1504.00 MiB"))
    document = analyze([tmp_path])
    assert [problem.message for problem in document.problems if problem.stage == "memory"] == [
        "the engine's KV cache has 1577058304 bytes, the arithmetic gives 394264576"
    ]


def test_a_sum_of_what_was_not_in_the_input_is_not_shown(tmp_path: Path) -> None:
    """Of a program that ran out of memory and whose buffers no line tells: announced = 0 B + 0 B."""
    log = tmp_path / "dmesg.txt"
    log.write_text((FIXTURES.parent / "host" / "cgroup-oom-kv-cache" / "dmesg.txt").read_text())
    (finding, *_) = analyze([log]).findings
    assert finding.rule_id == "cgroup-oom-kill"
    assert "announced" not in {computed.name for computed in finding.computed}
