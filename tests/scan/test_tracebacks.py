"""Tracebacks: chains, several processes in one log, and what is no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor.rulebook.book import RuleBook
from doctor.scan.tracebacks import Traceback
from tests.helpers import DIALECTS, book, timeline

STACK = '  File "/x/engine.py", line 7, in run\n    raise RuntimeError("failed: KeyError: no")\n'
TRACEBACK = "Traceback (most recent call last):\n" + STACK
DURING = "\nDuring handling of the above exception, another exception occurred:\n\n"
CAUSED = "\nThe above exception was the direct cause of the following exception:\n\n"


@pytest.fixture
def made(tmp_path: Path) -> RuleBook:
    (tmp_path / "dialects").mkdir()
    made = book(tmp_path)
    made.dialects["base"]["procs"] = [r"\((?P<proc>\w+ pid=\d+)\)"]
    return made


def seen(made: RuleBook, text: str) -> list[Traceback]:
    return timeline(made, "base engine 1.2\n" + text).tracebacks


def thrown(made: RuleBook, text: str) -> list[list[str]]:
    return [[each.text for each in event.chain] for event in seen(made, text)]


def by(proc: str, text: str) -> list[str]:
    return [f"({proc}) {line}\n" for line in text.splitlines()]


def test_the_books_dialects_stay_as_they_are() -> None:
    assert "procs" not in DIALECTS["base"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TRACEBACK + "ValueError: too large\n", [["ValueError: too large"]]),
        (
            TRACEBACK + "torch.OutOfMemoryError: CUDA out of memory.\n",
            [["torch.OutOfMemoryError: CUDA out of memory."]],
        ),
        (TRACEBACK + "AssertionError\n", [["AssertionError"]]),
        (TRACEBACK + "KeyboardInterrupt\n", [["KeyboardInterrupt"]]),
        (TRACEBACK + "KeyError: 'a'\n" + DURING + TRACEBACK + "ValueError: b\n", [["KeyError: 'a'", "ValueError: b"]]),
        (TRACEBACK + "KeyError: 'a'\n" + CAUSED + TRACEBACK + "ValueError: b\n", [["KeyError: 'a'", "ValueError: b"]]),
        (TRACEBACK + "KeyError: 'a'\n" + TRACEBACK + "ValueError: b\n", [["KeyError: 'a'"], ["ValueError: b"]]),
        ("ValueError: without a stack\n", []),
        (TRACEBACK + "and nothing that looks like an exception\n", []),
        (DURING + TRACEBACK + "ValueError: b\n", [["ValueError: b"]]),
    ],
)
def test_what_was_thrown(made: RuleBook, text: str, expected: list[list[str]]) -> None:
    assert thrown(made, text) == expected


@pytest.mark.parametrize(
    "prefix",
    [
        "ERROR 10-20 06:00:41 [core.py:708] ",
        "(EngineCore_DP0 pid=171) ",
        "(EngineCore_DP0 pid=171) ERROR 10-20 06:00:41 [core.py:708] ",
        "Nov 04 09:02:05 box vllm[33]: ",
        "vllm-1  | ",
        "2026-11-04T09:02:05.123456789Z ",
    ],
)
def test_behind_any_prefix(made: RuleBook, prefix: str) -> None:
    lines = (TRACEBACK + "ValueError: too large").splitlines()
    assert thrown(made, "".join(f"{prefix}{line}\n" for line in lines)) == [["ValueError: too large"]]


def test_an_exception_that_carries_another_is_not_the_first(made: RuleBook) -> None:
    text = TRACEBACK + "RuntimeError: Error raised in subprocess:\n" + TRACEBACK + "ImportError: no such\n"
    assert [event.first.text for event in seen(made, text)] == ["ImportError: no such"]
    ray = TRACEBACK + "ray.exceptions.RayTaskError(ValueError): ray::Worker.load() (pid=9, ip=10.0.0.2)\n"
    ray += STACK + "ValueError: too large\n"
    assert [event.first.text for event in seen(made, ray)] == ["ValueError: too large"]


def test_interleaved_processes_are_kept_apart(made: RuleBook) -> None:
    one = by("Worker pid=1", TRACEBACK + "KeyError: 'a'" + CAUSED + TRACEBACK + "ValueError: b")
    two = by("Worker pid=2", TRACEBACK + "OSError: c")
    mixed = [line for pair in zip(one, [*two, *[""] * len(one)], strict=False) for line in pair]
    events = seen(made, "".join(mixed))
    assert [(event.proc, [each.text for each in event.chain]) for event in events] == [
        ("Worker pid=1", ["KeyError: 'a'", "ValueError: b"]),
        ("Worker pid=2", ["OSError: c"]),
    ]


def test_the_first_is_the_one_after_which_the_run_did_not_become_ready(made: RuleBook) -> None:
    text = TRACEBACK + "ImportError: optional\nbase: listening\n" + TRACEBACK + "ValueError: b\n"
    run = timeline(made, "base engine 1.2\n" + text).runs[0]
    first = run.first_thrown()
    assert first is not None
    assert first.first.text == "ValueError: b"
