"""What ``llmdoctor run`` says of an engine that fails, and what it keeps. Small programs write an engine's lines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from doctor.cli.run import _ended
from doctor.read.ended import read_ending
from doctor.read.limits import Unreadable
from doctor.trial.launch import Cgroup, Ending, Usage
from doctor.trial.run import Seen

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="starts POSIX programs")
MISSING = """\
echo "0.00.003.750 I srv  llama_server: initializing ..."
echo "0.00.030.876 E gguf_init_from_file: failed to open GGUF file 'none.gguf' (No such file or directory)" >&2
echo "0.00.031.752 E srv    load_model: failed to load model, 'none.gguf'" >&2
exit 1
"""
SERVES = """\
echo "0.00.003.750 I srv  llama_server: initializing ..."
echo "0.07.530.362 I srv  llama_server: listening on http://127.0.0.1:8123"
"""


def words(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-c", "from doctor.cli import main; main()", "run", *map(str, arguments)]


def run(*arguments: str | Path, folder: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words(*arguments),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **env},
        timeout=120,
    )


def test_a_failed_start_is_explained_on_standard_error_and_keeps_its_status() -> None:
    done = run("--", "sh", "-c", MISSING)
    assert done.returncode == 1
    assert done.stdout == "0.00.003.750 I srv  llama_server: initializing ...\n"
    assert done.stderr.startswith("0.00.030.876 E gguf_init")
    assert "sh ended with status 1 after" in done.stderr
    assert "There is no file none.gguf" in done.stderr
    assert "/tmp" not in done.stderr  # of a case that is not kept no path is named


def test_a_healthy_run_says_nothing() -> None:
    done = run("sh", "-c", SERVES)
    assert (done.returncode, done.stderr) == (0, "")
    done = run("echo", "-n", "no engine at all")
    assert (done.returncode, done.stdout, done.stderr) == (0, "no engine at all", "")


def test_options_of_the_engine_are_its_own() -> None:
    assert run("printf", "%s|", "-v", "--save", "x", "--help").stdout == "-v|--save|x|--help|"


def test_a_program_that_is_not_there_is_told_as_a_shell_tells_it(tmp_path: Path) -> None:
    done = run("--save", tmp_path / "case", "--", "no-such-engine", "-m", "x")
    assert done.returncode == 127
    assert done.stderr == "llmdoctor: no-such-engine: no such program\n  hint: check its name and PATH\n"
    assert not (tmp_path / "case").exists()


def test_a_kept_case_gives_the_same_diagnosis(tmp_path: Path) -> None:
    case = tmp_path / "case"
    done = run(
        *("--save", case, "--format", "json", "-o", tmp_path / "run.json"),
        *("--", "sh", "-c", MISSING, "llama-server", "--api-key", "sk-0123456789abcdefghijklmnopqrstuvwxyz"),
        GGML_TEST="7",
        UNRELATED="nobody's business",
    )
    assert done.returncode == 1
    analyzed = subprocess.run(
        [sys.executable, "-c", "from doctor.cli import main; main()", "analyze", case, "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    seen, again = json.loads((tmp_path / "run.json").read_text()), json.loads(analyzed.stdout)
    assert seen == again
    assert seen["findings"][0]["rule_id"] == "model-file-not-found"
    ending = json.loads((case / "ending.json").read_text())
    assert (ending["status"], ending["why"], ending["environment"]["GGML_TEST"]) == (1, "exited", "7")
    kept = "".join(path.read_text(errors="replace") for path in case.iterdir())
    assert "sk-0123456789" not in kept
    assert "nobody's business" not in kept
    assert "LLMDOCTOR_LAUNCH" not in kept


def test_a_folder_that_holds_something_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    done = run("--save", tmp_path, "--", "true")
    assert done.returncode == 2
    assert "not empty" in done.stderr


def test_what_never_serves_is_stopped_and_said_to_hang() -> None:
    done = run("--ready-timeout", "0.3", "--", "sh", "-c", "echo loading; exec sleep 1000")
    assert done.returncode == 124
    assert "did not serve within 0.3 s (--ready-timeout) and was stopped" in done.stderr
    assert "hangs" in done.stderr


def test_what_serves_in_time_goes_on() -> None:
    done = run("--ready-timeout", "0.3", "--", "sh", "-c", f"{SERVES} sleep 2; echo end")
    assert done.returncode == 0
    assert done.stdout.endswith("end\n")


def test_a_kill_is_told_and_the_status_is_the_shells() -> None:
    done = run("--", "sh", "-c", f"{SERVES} kill -9 $$")
    assert done.returncode == 137
    assert "was ended by SIGKILL" in done.stderr


def test_a_kill_that_was_not_for_memory_is_said_to_be_none() -> None:
    """Where the kernel's counter tells; a rule that only knows the status has to guess."""
    told = "the kernel killed nothing in its cgroup for memory"
    counted = Cgroup("/sys/fs/cgroup/x", 2, False, None, None, 0, 0)
    ended = Ending(None, "SIGKILL", "killed", 2.0, Usage(), counted)
    assert told in _ended(Seen(ended), "llama-server")
    assert told not in _ended(Seen(replace(ended, cgroup=None)), "llama-server")
    assert told not in _ended(Seen(replace(ended, cgroup=replace(counted, kills=1))), "llama-server")
    assert told not in _ended(Seen(replace(ended, signal="SIGSEGV")), "llama-server")


def test_being_asked_to_stop_is_no_failure() -> None:
    text = f"trap 'exit 143' TERM; {SERVES} sleep 1000 & wait"
    with subprocess.Popen(words("--", "sh", "-c", text), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert errors == b""


def test_fail_on_decides_the_status_only_when_there_is_something_as_grave() -> None:
    assert run("--fail-on", "major", "--", "sh", "-c", f"{MISSING.replace('exit 1', 'exit 7')}").returncode == 1
    assert run("--fail-on", "major", "--", "sh", "-c", "exit 7").returncode == 7
    assert run("--fail-on", "major", "--", "sh", "-c", SERVES).returncode == 0


def grades(document: Any) -> dict[str, str]:
    return {finding["rule_id"]: finding["severity"] for finding in document["findings"]}


def test_the_file_of_settings_counts_for_the_diagnosis_and_leaves_the_status_alone(tmp_path: Path) -> None:
    settings = tmp_path / "llmdoctor.toml"
    settings.write_text('fail-on = "minor"\nredact-words = ["none.gguf"]\n[severity]\nmodel-file-not-found = "minor"\n')
    told = ("--format", "json", "-o", tmp_path / "told.json")
    done = run(*told, "--", "sh", "-c", MISSING.replace("exit 1", "exit 7"), folder=tmp_path)
    document = json.loads((tmp_path / "told.json").read_text())
    assert done.returncode == 7
    assert "none.gguf" in done.stderr  # the engine's own words are passed through as they are
    assert document["settings_file"] == str(settings)
    assert grades(document)["model-file-not-found"] == "minor"
    assert "none.gguf" not in json.dumps(document)
    done = run(*told, "--no-config", "--", "sh", "-c", MISSING, folder=tmp_path)
    assert grades(json.loads((tmp_path / "told.json").read_text()))["model-file-not-found"] == "fatal"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("fail_on = 3\n", "did you mean fail-on?"),
        ('ignore = ["model-file-not-fund"]\n', "did you mean model-file-not-found?"),
        ('rules = ["./gone"]\n', "gone"),
        ('baseline = "gone.toml"\n', "gone.toml"),
    ],
)
def test_wrong_settings_are_told_before_the_engine_starts(settings: str, message: str, tmp_path: Path) -> None:
    """Not after it has run for a week."""
    (tmp_path / "llmdoctor.toml").write_text(settings)
    done = run("--", "touch", "started", folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "started").exists()


def test_nothing_to_run_is_wrong_usage() -> None:
    done = run()
    assert done.returncode == 2
    assert "Nothing to run" in done.stderr


def ending(**given: Any) -> Any:
    return read_ending(json.dumps({"schema": "llmdoctor/ending/1", **given}).encode(), "ending.json")


def test_an_end_that_was_ours_says_nothing_about_the_engine() -> None:
    stalled = ending(status=None, signal="SIGKILL", why="stalled")
    assert (stalled.status, stalled.signal, stalled.hung) == (None, None, True)
    stopped = ending(status=None, signal="SIGKILL", why="stopped")
    assert (stopped.status, stopped.signal, stopped.hung) == (None, None, False)
    obeyed = ending(status=0, signal=None, why="stopped")
    assert obeyed.status == 0
    late = ending(status=0, signal=None, why="stopped", not_ready=5.0)
    assert (late.status, late.hung) == (None, True)
    asked = ending(status=130, signal=None, why="exited", stopped_by="SIGINT")
    assert (asked.status, asked.signal) == (None, "SIGINT")


def test_only_a_kill_that_was_counted_is_one_for_memory() -> None:
    assert ending(why="out_of_memory", signal="SIGKILL", cgroup={"kills": 1}).out_of_memory
    assert not ending(why="out_of_memory", signal="SIGKILL", cgroup={"kills": 0}).out_of_memory


@pytest.mark.parametrize(
    "text", ['{"schema": "llmdoctor/ending/1"', '{"schema": "llmdoctor/ending/1", "a": ' + "[" * 9000]
)
def test_a_broken_ending_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        read_ending(text.encode(), "ending.json")


def test_an_ending_of_nonsense_is_taken_for_what_it_says() -> None:
    found = ending(status="7", signal=9, why=[], command={}, environment=[1], cgroup=3, stopped_by=[])
    assert (found.status, found.signal, found.command, found.environment) == (None, None, "", {})
    assert ending(environment={"A B": "x", "OK": "y z", "N": 1}).environment_text() == "OK='y z'\n"


def test_of_several_saved_runs_none_is_taken_for_the_input(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ending.json").write_text('{"schema": "llmdoctor/ending/1", "signal": "SIGKILL"}')
        (tmp_path / name / "output.log").write_text("srv  llama_server: initializing\n")
    done = subprocess.run(
        [sys.executable, "-c", "from doctor.cli import main; main()", "analyze", tmp_path, "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    problems = json.loads(done.stdout)["problems"]
    assert any("one of 2 saved runs" in problem["message"] for problem in problems)


def test_a_kill_that_only_the_cgroup_counted_is_named(tmp_path: Path) -> None:
    """Where the kernel's log may not be read."""
    ended = {"schema": "llmdoctor/ending/1", "signal": "SIGKILL", "why": "out_of_memory", "cgroup": {"kills": 1}}
    (tmp_path / "ending.json").write_text(json.dumps(ended))
    (tmp_path / "output.log").write_text("0.00.003.750 I srv  llama_server: initializing ...\n")
    done = subprocess.run(
        [sys.executable, "-c", "from doctor.cli import main; main()", "analyze", tmp_path, "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    document = json.loads(done.stdout)
    assert document["findings"][0]["rule_id"] == "container-oomkilled"
    assert document["runs"][0]["outcome"] == "killed"
