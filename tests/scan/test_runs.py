from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers import book, rule, timeline

START = "base engine 1.2\nbase: context = 512\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("base: answered\nnothing else\n", [(1, 2)]),
        (START + "base: listening\n" + START, [(1, 3), (4, 5)]),
        # The first lines of one start-up are one start, in whatever dialects they come.
        ("base engine 1.2\nwrap v0.9 starts\nbase: loading\n", [(1, 3)]),
        # The same start line again: the life before ended without a word.
        (START + START, [(1, 2), (3, 4)]),
        # A weak start begins a run only after an end.
        ("base engine 1.2\nbase: loading\nbase: loading\n", [(1, 3)]),
        ("base engine 1.2\nbase: aborted\nbase: loading\n", [(1, 2), (3, 3)]),
        # Launcher output before the first start belongs to it; the tail of a life that lived does not.
        ("starting...\nplease wait\n" + START, [(1, 4)]),
        ("base: answered\nbase: aborted\n" + START, [(1, 2), (3, 4)]),
        # The relative clock falls back.
        ("0.10.000.000 I base: context = 1\n0.00.100.000 I base: context = 2\n", [(1, 1), (2, 2)]),
        ("0.10.000.000 I base: context = 1\n0.09.900.000 I base: context = 2\n", [(1, 2)]),
    ],
)
def test_where_runs_begin(tmp_path: Path, text: str, expected: list[tuple[int, int]]) -> None:
    runs = timeline(book(tmp_path), text).runs
    assert [(run.first_line, run.last_line) for run in runs] == expected


def test_the_most_derived_engine_is_named_with_its_bases(tmp_path: Path) -> None:
    run = timeline(book(tmp_path), "wrap v0.9 starts\nbase engine 1.2\n").runs[0]
    assert run.engine == "wrap"
    assert run.engines == ["wrap", "base"]
    assert run.versions == {"wrap": "v0.9", "base": "1.2"}


def test_a_product_has_a_run_around_the_engine_and_says_its_version(tmp_path: Path) -> None:
    around, inner = timeline(book(tmp_path), "around 1.0 worker\nbase: loading\nbase: listening\n").runs
    assert around.is_wrapper
    assert inner.parent is around
    assert inner.wrapper == "around"
    assert inner.versions["wrap"] == "0.9", "known from the product's release"


def test_a_container_that_exited_ends_the_engine_in_it(tmp_path: Path) -> None:
    text = START + "base: loading\naround: container exited\nbase: loading\n" + START
    lives = [run.first_line for run in timeline(book(tmp_path), text).runs if not run.is_wrapper]
    assert lives == [1, 5], "what comes next, before the start line proper, belongs to the next life"


def test_kernel_lines_and_strangers_are_context(tmp_path: Path) -> None:
    found = timeline(
        book(tmp_path, rule("goes-boom")),
        START + "base: listening\n",
        "kernel: killed 12\nboom at x\n",
        "client: boom at y\n",
    )
    assert [run.path for run in found.runs] == ["log0"]
    assert {observation.path for observation in found.context} == {"log1", "log2"}
