"""What must never be called a cure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.trial.loops.support import loop
from tests.trial.loops.test_settings import server

pytestmark = pytest.mark.engine


def test_a_change_that_changes_nothing(tiny: Path, port: int) -> None:
    broken = server(tiny, port, "-c", "512", "-ctv", "q8_0", "-fa", "off")
    _document, told = loop(broken, fixed=broken)
    assert told.verdict == "inconclusive"
    assert "changes nothing" in told.reason


def test_a_remedy_that_does_not_help(tiny: Path, port: int) -> None:
    """The context is raised as the rule says; a slot still holds no more than the model was trained for."""
    broken = server(tiny, port, "-c", "256")
    _document, told = loop(broken, workload="fill_context", tokens=5000)
    assert told.verdict == "refuted", told
    assert "still there" in told.reason
    assert told.effect == "seen"


def test_a_change_without_effect(tiny: Path, port: int, tmp_path: Path) -> None:
    """A wrapper script that starts the engine puts its own context behind ours: the last one counts."""
    broken = server(tiny, port, "-c", "512", "-ctv", "q8_0", "-fa", "off")
    wrapper = tmp_path / "llama-server"
    wrapper.write_text(f'#!/bin/sh\nexec {broken.words[0]} "$@" -c 512\n')
    wrapper.chmod(0o755)
    ours = replace(broken, words=(str(wrapper), *broken.words[1:]))
    fixed = tuple({"-ctv": "-c", "q8_0": "1024", "off": "on"}.get(word, word) for word in ours.words)
    _document, told = loop(ours, fixed=replace(ours, words=fixed), workload="load_only")
    assert told.verdict == "inconclusive", told
    assert "did not take effect: the engine says context = 512" in told.reason


def test_a_failure_that_does_not_come_back(tiny: Path, port: int) -> None:
    sound = server(tiny, port, "-c", "512")
    _document, told = loop(sound, fixed=server(tiny, port, "-c", "1024"))
    assert told.verdict == "inconclusive"
    assert told.reason == "failure not reproduced: ready, workload through"
    assert [trial.which for trial in told.trials] == ["before"]


def test_another_failure_than_the_one_spoken_of(tiny: Path, port: int) -> None:
    _document, told = loop(server(tiny, port, "-c", "512", "--no-such-flag"), rule_id="context-prompt-too-long")
    assert told.verdict == "inconclusive"
    assert "failed in another way" in told.reason


def test_one_failure_for_another(tiny: Path, port: int, tmp_path: Path) -> None:
    broken = server(tiny, port, "-c", "512", "-ctv", "q8_0", "-fa", "off")
    absent = replace(broken, words=tuple(str(tmp_path / "absent.gguf") if w == str(tiny) else w for w in broken.words))
    absent = replace(absent, words=tuple("on" if word == "off" else word for word in absent.words))
    _document, told = loop(broken, fixed=absent)
    assert told.verdict == "refuted"
    assert "trades one failure for another" in told.reason
    assert "model-file-not-found" in told.reason


def test_a_program_that_is_not_here(tiny: Path, port: int) -> None:
    setup = replace(server(tiny, port), words=("/nonexistent/llama-server", "-m", str(tiny)))
    _document, told = loop(setup, fixed=server(tiny, port))
    assert told.verdict == "inconclusive"
    assert "could not be run" in told.reason
    assert told.trials[0].outcome == "unknown"
