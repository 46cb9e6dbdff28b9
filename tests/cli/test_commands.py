"""The command line as a person and a CI job use it: real processes, real files."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FIXTURES = Path(__file__).parents[2] / "fixtures"
CRASH = FIXTURES / "llama-box" / "view-abort" / "serve-42.log"
HEALTHY = next((FIXTURES / "healthy" / "llama-box-rpc-context-shift-cured").glob("*.log"))


def run(*arguments: str | Path, stdin: str | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from doctor.cli import main; main()", *map(str, arguments)],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **env},
    )


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(done.stdout)
    return made


def test_a_crash_ends_with_1_and_a_healthy_log_with_0() -> None:
    assert run("analyze", CRASH).returncode == 1
    done = run("analyze", HEALTHY)
    assert done.returncode == 0
    assert "HEALTHY" in done.stdout


def test_the_exit_status_never_depends_on_the_format() -> None:
    done = run("analyze", CRASH, "--format", "json")
    assert done.returncode == 1
    assert document(done)["schema"] == "llmdoctor/diagnosis/1"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("told", "rule"),
    [
        ("137", "process-killed"),
        ("SIGKILL", "process-killed"),
        ("-9", "process-killed"),
        ("134", "process-aborted"),
        ("139", "crash-without-words"),
        ("SIGILL", "illegal-instruction"),
        ("0xC0000005", "crash-without-words"),
        ("-1073741819", "crash-without-words"),
    ],
)
def test_how_it_ended_is_evidence_where_the_log_says_nothing(tmp_path: Path, told: str, rule: str) -> None:
    log = tmp_path / "server.log"
    log.write_text("build: 6100 (65c797c4) with cc 12.2.0 for x86_64-linux-gnu\nsrv    load_model: loading model 'm'\n")
    done = run("analyze", log, "--exit", told, "--format", "json")
    assert done.returncode == 1
    made = document(done)
    assert [(found["role"], found["rule_id"]) for found in made["findings"]] == [("root_cause", rule)]
    assert made["findings"][0]["evidence"][0]["path"] == "--exit"
    assert [source["path"] for source in made["sources"]] == [str(log)]


@pytest.mark.parametrize("told", ["0", "143", "SIGTERM", "SIGINT"])
def test_an_end_that_was_asked_for_is_no_failure(told: str) -> None:
    done = run("analyze", HEALTHY, "--exit", told, "--format", "json")
    assert done.returncode == 0
    assert document(done)["findings"] == []


@pytest.mark.parametrize("told", ["143", "SIGTERM", "130", "SIGINT"])
def test_a_status_and_its_signal_are_the_same_word(tmp_path: Path, told: str) -> None:
    log = tmp_path / "server.log"
    log.write_text("build: 6100 (65c797c4) with cc 12.2.0 for x86_64-linux-gnu\nsrv    load_model: loading model 'm'\n")
    made = document(run("analyze", log, "--exit", told, "--format", "json"))
    assert (made["verdict"], made["runs"][0]["outcome"]) == ("unknown", "unknown")  # stopped before it was ready


def test_settings_alone_are_an_input(tmp_path: Path) -> None:
    (tmp_path / "llama.env").write_text("LLAMA_ARG_CTX_SIZE=4096\n")
    words = ["--env", tmp_path / "llama.env", "--command", "llama-server -m m.gguf -ngl 3"]
    done = run("analyze", *words, "--format", "json")
    assert done.returncode == 0, done.stderr
    assert document(done)["verdict"] == "unknown"


def test_a_failure_without_a_cause_says_what_would_help(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("build: 6100 (65c797c4) with cc 12.2.0 for x86_64-linux-gnu\nsrv    load_model: loading model 'm'\n")
    done = run("analyze", log, "--exit", "1")
    assert "failed to start" in done.stdout
    assert "What would help" in done.stdout
    assert "how it ended" not in done.stdout


def test_the_run_that_was_asked_for_is_named(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text(CRASH.read_text() * 3)
    runs = document(run("analyze", log, "--format", "json"))["runs"]
    first = next(entry["id"] for entry in runs if entry["outcome"] == "crashed")
    done = run("analyze", log, "--run", first.removeprefix("run-"))
    assert f"this is {first.replace('-', ' ')} of {len(runs)}" in done.stdout
    assert "this is the last one" not in done.stdout


def test_from_a_pipe() -> None:
    done = run("analyze", "-", "--format", "json", stdin=CRASH.read_text())
    found = document(done)["findings"][0]
    assert found["rule_id"] == "rpc-kv-view-stale-support"
    assert found["evidence"][0]["path"] == "<stdin>"


def test_fail_on() -> None:
    assert run("analyze", CRASH, "--fail-on", "fatal").returncode == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["analyze"],
        ["analyze", "no-such-file.log"],
        ["analyze", str(CRASH), "--exit", "SIGNOPE"],
        ["analyze", str(CRASH), "--run", "first"],
        ["analyze", str(CRASH), "--run", "99"],
        ["analyze", str(CRASH), "--format", "yaml"],
        ["analyze", str(CRASH), "--rules", "no-such-folder"],
        ["analyze", str(CRASH), "--rules", str(HEALTHY.parent)],
        ["analyze", sys.executable],
        ["analyse", str(CRASH)],
        ["explain", "no-such-rule"],
        ["rules", "test", "no-such-rule"],
    ],
    ids=lambda arguments: " ".join(Path(argument).name for argument in arguments),
)
def test_wrong_usage_ends_with_2_and_one_message(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


def test_a_mistyped_command_gets_a_suggestion() -> None:
    assert "analyze" in run("analyse", "x").stderr


def test_bad_input_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "empty.log").write_text("")
    (tmp_path / "binary.log").write_bytes(bytes(range(256)) * 64)
    (tmp_path / "cut.log").write_bytes(CRASH.read_bytes()[:-7])
    (tmp_path / "loop.log").symlink_to("loop.log")
    done = run("analyze", tmp_path, "--format", "json")
    assert done.returncode == 1
    made = document(done)
    assert made["findings"][0]["rule_id"] == "rpc-kv-view-stale-support"
    troubled = {Path(problem["subject"]).name: problem["message"] for problem in made["problems"]}
    assert set(troubled) >= {"empty.log", "binary.log", "loop.log"}
    assert all(problem["message"] for problem in made["problems"])


def test_an_empty_file_alone_is_readable(tmp_path: Path) -> None:
    file = tmp_path / "empty.log"
    file.write_text("")
    done = run("analyze", file, "--format", "json")
    assert done.returncode == 0
    assert document(done)["verdict"] == "unknown"
    assert document(done)["problems"]


def test_a_broken_rule_of_a_named_folder_is_an_error_with_its_line(tmp_path: Path) -> None:
    folder = tmp_path / "rules" / "kv"
    folder.mkdir(parents=True)
    (folder / "broken.yaml").write_text("id: broken\nkind: cause\ntitle: x\nsignatures: {a: '('}\nmatch: {al: [a]}\n")
    done = run("analyze", CRASH, "--rules", tmp_path / "rules")
    assert done.returncode == 2
    assert "broken.yaml:5" in done.stderr
    lint = run("rules", "lint", "--rules", tmp_path / "rules")
    assert lint.returncode == 1
    assert "broken.yaml:5" in lint.stdout


def test_hostile_text_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J[bold]not bold[/bold] \u202egnp.exe error: {{ 7*7 }} <script>alert(1)</script>"
    log = tmp_path / "evil.log"
    log.write_text(CRASH.read_text().replace("n_discard = 1027", f"n_discard = 1027 {evil}") + evil + "\n")
    done = run("analyze", log, "-v")
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
    assert "{{ 7*7 }}" in done.stdout
    assert json.loads(run("analyze", log, "--format", "json").stdout)


def test_no_colour_when_asked_not_to() -> None:
    assert "\x1b" not in run("analyze", CRASH, NO_COLOR="1", FORCE_COLOR="").stdout


def test_what_the_logs_do_not_say_can_be_given(tmp_path: Path) -> None:
    env = tmp_path / "server.env"
    env.write_text("LLAMA_ARG_CTX_SIZE=8192\nHF_TOKEN=hf_abcdefghijklmnopqrstuvwxyz012345\n")
    free = tmp_path / "free.txt"
    free.write_text("               total        used        free\nMem:     16000000000  1000000000 15000000000\n")
    done = run(
        "analyze", CRASH, "--env", env, "--hardware", free, "--exit", "SIGABRT",
        "--command", "llama-box --host 0.0.0.0 -ngl 81 --api-key sk-abcdefghijklmnopqrstuvwx", "--format", "json",
    )  # fmt: skip
    made = document(done)
    assert {source["kind"] for source in made["sources"]} == {"log", "env", "hardware"}
    assert "abcdefghijklmnopqrstuvwx" not in done.stdout
    remedy = next(r for r in made["findings"][0]["remedies"] if r["id"] == "no-context-shift")
    assert remedy["diff"].splitlines()[1].endswith("--no-context-shift")


def test_explain() -> None:
    assert "SIGKILL" in run("explain", "137").stdout
    assert "stale" in run("explain", "rpc-kv-view-stale-support").stdout.lower()
    assert "rpc-kv-view-stale-support" in run("explain", "rpc-kv-view-stale").stderr


def test_the_schemas_are_json() -> None:
    for which in ("rule", "dialect", "diagnosis"):
        assert json.loads(run("rules", "schema", which).stdout)["type"] == "object"


def test_help_teaches_by_examples() -> None:
    text = run("--help").stdout
    assert "llmdoctor analyze" in text
    assert "explain 137" in text


def test_a_rule_begun_from_a_log(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("all is well\n16.15.162.661 E srv: the flux capacitor lost 12 jigawatts\n")
    rules = tmp_path / "my rules"
    done = run("rules", "new", "--from", f"{log}:2", "--dir", rules)
    assert done.returncode == 0, done.stderr
    path, *commands = done.stdout.splitlines()
    assert len(commands) == 2
    (file,) = rules.glob("*/*.yaml")
    assert str(file) in path
    for command in commands:
        words = shlex.split(command)
        assert words[0] == "llmdoctor"
        after = run(*words[1:])
        assert after.returncode == (1 if "lint" in words else 0), after.stdout
        assert ("still to be written" in after.stdout) == ("lint" in words)
    again = run("rules", "new", "--from", f"{log}:2", "--dir", rules, "--id", file.stem)
    assert again.returncode == 2
    assert "already" in again.stderr
    found = document(run("analyze", log, "--rules", rules, "--format", "json"))["findings"]
    assert [finding["rule_id"] for finding in found] == [file.stem]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a line", "--from", "x:1"],
        ["--from", "x"],
        ["--from", "no-such.log:3"],
        ["--from", f"{CRASH}:99999"],
        ["12"],
    ],
)
def test_a_rule_needs_one_line(arguments: list[str], tmp_path: Path) -> None:
    done = run("rules", "new", *arguments, "--dir", tmp_path / "rules")
    assert done.returncode == 2
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "rules").exists()


def test_in_an_unknown_case_it_says_what_would_help(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("nothing that is known\n")
    done = run("analyze", log)
    assert "UNKNOWN" in done.stdout
    assert "What would help" in done.stdout
    assert "--exit" in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_a_page_is_written_for_each_rule(tmp_path: Path) -> None:
    done = run("rules", "docs", "-o", str(tmp_path / "pages"))
    assert done.returncode == 0, done.stderr
    listed = run("rules", "list").stdout.splitlines()
    assert {path.stem for path in (tmp_path / "pages").iterdir()} == {line.split()[0] for line in listed} | {"index"}


def test_what_each_rule_was_verified_with_is_listed() -> None:
    done = run("rules", "verified", "--engine", "vllm")
    assert done.returncode == 0, done.stderr
    assert "vllm 0.11.0" in done.stdout
    assert all(line.startswith("vllm") or ", vllm" in line for line in done.stdout.splitlines())


def test_a_missing_list_of_cases_is_a_clear_error() -> None:
    done = run("rules", "coverage", "nowhere.yaml")
    assert done.returncode == 2
    assert "nowhere.yaml: No such file" in done.stderr
