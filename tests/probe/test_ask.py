"""Questions against real tools: scripts on PATH that answer, fail, refuse, hang, flood or leave children behind."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import psutil
import pytest

from doctor.probe.ask import MOST_BYTES, Call, Command, Files
from doctor.probe.document import Status
from doctor.probe.take import ask_all, seconds_left, take

NOT_ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH, but for the shell's own tools behind it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def script(folder: Path, name: str, text: str, mode: int = 0o755) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)


def test_what_a_tool_says_is_kept(tools: Path) -> None:
    script(tools, "sometool", "echo out; echo more >&2")
    answer = Command("x", ("sometool", "-a")).get(5)
    assert (answer.status, answer.output, answer.exit, answer.asked) == (Status.OK, "out\n", 0, "sometool -a")


def test_a_tool_that_is_not_there_is_absent(tools: Path) -> None:
    answer = Command("x", ("no-such-tool",)).get(5)
    assert (answer.status, answer.reason) == (Status.ABSENT, "no no-such-tool on PATH")


def test_a_tool_beside_path_is_found(tools: Path, tmp_path: Path) -> None:
    place = tmp_path / "opt"
    place.mkdir()
    script(place, "rocm-thing", "echo here")
    assert Command("x", ("rocm-thing",), places=(str(place),)).get(5).output == "here\n"


def test_a_file_that_may_not_run_is_no_absence(tools: Path) -> None:
    script(tools, "sometool", "echo hi", mode=0o644)
    assert Command("x", ("sometool",)).get(5).status is Status.NOT_PERMITTED


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("dmesg: read kernel buffer failed: Operation not permitted", Status.NOT_PERMITTED),
        ("permission denied while trying to connect to the Docker daemon socket", Status.NOT_PERMITTED),
        (
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            Status.ABSENT,
        ),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", Status.FAILED),
    ],
)
def test_a_failure_is_told_by_its_words(tools: Path, words: str, status: Status) -> None:
    script(tools, "sometool", f'echo "{words}" >&2; exit 1')
    answer = Command("x", ("sometool",)).get(5)
    assert (answer.status, answer.reason, answer.exit) == (status, words, 1)


def test_a_hanging_tool_is_ended_with_its_children(tools: Path, tmp_path: Path) -> None:
    script(tools, "sometool", f"echo early; sleep 300 & echo $! > {tmp_path}/child; sleep 300")
    began = time.monotonic()
    answer = Command("x", ("sometool",)).get(0.5)
    assert time.monotonic() - began < 5
    assert (answer.status, answer.output, answer.exit) == (Status.TIMED_OUT, "early\n", None)
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 5  # a signal is sent at once and takes effect when its process is scheduled
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_asking_ends_earlier_when_starting_took_longer() -> None:
    now = time.monotonic()
    assert seconds_left(now) == 1.0
    assert 0.8 <= seconds_left(now - 0.35) <= 0.9
    assert seconds_left(now - 30) == 0.8


def test_the_words_of_what_hangs_are_kept(tools: Path) -> None:
    script(tools, "slow", "echo early; sleep 300")
    (answer,) = ask_all([Command("x", ("slow",))], 2.0)
    assert (answer.status, answer.output) == (Status.TIMED_OUT, "early\n")


def test_a_tool_that_leaves_a_child_with_its_pipe_is_not_waited_for(tools: Path) -> None:
    script(tools, "sometool", "echo done; sleep 4 & exit 0")
    began = time.monotonic()
    answer = Command("x", ("sometool",)).get(3)
    assert (answer.status, answer.output) == (Status.OK, "done\n")
    assert time.monotonic() - began < 2.5


def test_a_flood_is_cut(tools: Path) -> None:
    script(tools, "sometool", "yes 'a line of the flood'")
    answer = Command("x", ("sometool",)).get(0.5)
    assert answer.cut
    assert len(answer.output) <= MOST_BYTES


def test_a_log_keeps_its_end_and_the_lines_that_matter(tools: Path) -> None:
    import re

    script(tools, "sometool", "seq 1 200000; echo NVRM: Xid 79; echo last")
    answer = Command("x", ("sometool",), keep_end=True, wanted=re.compile("Xid|last")).get(10)
    assert answer.output == "NVRM: Xid 79\nlast\n"


def test_files_are_labelled_and_their_absence_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n2\n")
    (tmp_path / "b").write_text("3\n")
    assert Files("x", (f"{tmp_path}/[ab]",)).get(5).output == f"{tmp_path}/a:1\n{tmp_path}/a:2\n{tmp_path}/b:3\n"
    assert Files("x", (f"{tmp_path}/c",)).get(5).status is Status.ABSENT


@NOT_ROOT
def test_a_folder_on_path_that_cannot_be_looked_into_is_told(tools: Path) -> None:
    locked = tools / "locked"
    locked.mkdir(mode=0)
    os.environ["PATH"] = f"{locked}:{os.environ['PATH']}"
    answer = Command("x", ("no-such-tool",)).get(5)
    assert (answer.status, answer.reason) == (Status.ABSENT, f"no no-such-tool on PATH ({locked} can't be looked into)")


@NOT_ROOT
def test_a_file_that_may_not_be_read_is_not_permitted(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n")
    (tmp_path / "a").chmod(stat.S_IWUSR)
    assert Files("x", (f"{tmp_path}/a",)).get(5).status is Status.NOT_PERMITTED


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (FileNotFoundError(2, "nothing there"), Status.ABSENT),
        (PermissionError(1, "no"), Status.NOT_PERMITTED),
        (TimeoutError("late"), Status.TIMED_OUT),
        (OSError(5, "broken"), Status.FAILED),
    ],
)
def test_a_function_says_why_by_its_error(error: OSError, status: Status) -> None:
    def function(_seconds: float) -> str:
        raise error

    assert Call("x", "f", function).get(1).status is status


def test_one_that_hangs_and_one_that_breaks_cost_the_others_nothing() -> None:
    def hang(_seconds: float) -> str:
        time.sleep(60)
        return ""

    def broken(_seconds: float) -> str:
        raise ValueError("a defect")

    began = time.monotonic()
    hung, bad, good = ask_all([Call("a", "a", hang), Call("b", "b", broken), Call("c", "c", lambda _s: "hi")], 0.3)
    assert time.monotonic() - began < 5
    assert (hung.name, hung.status) == ("a", Status.TIMED_OUT)
    assert (bad.status, bad.reason) == (Status.FAILED, "ValueError: a defect")
    assert (good.status, good.output) == (Status.OK, "hi")


def test_forty_hanging_tools_are_all_asked(tools: Path) -> None:
    script(tools, "sometool", "echo $1; sleep 60")
    answers = ask_all([Command(f"q{n}", ("sometool", str(n))) for n in range(40)], 6)
    assert [answer.output for answer in answers] == [f"{n}\n" for n in range(40)]


def test_this_machine_answers_without_any_tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    probe = take(10)
    status = {answer.name: answer.status for answer in probe.answers}
    assert len(status) == len(probe.answers)
    assert status["nvidia-smi"] is Status.ABSENT
    assert status["processes"] is Status.OK
