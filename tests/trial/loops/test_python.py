"""llama-cpp-python in a child process: a hidden reason, an old engine, a context shift."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from doctor.trial.setup import Setup
from tests import engines
from tests.trial import models
from tests.trial.loops.conftest import free_port
from tests.trial.loops.support import cured, loop
from tests.trial.loops.test_rpc import worker

pytestmark = pytest.mark.engine


def embedded(model: Path, *more: str, version: str = "0.3.36") -> Setup:
    words = ("llama-server", "-m", str(model), "-t", "1", *more)
    return Setup(words, {"PYTHONPATH": str(engines.python(version))}, python=True)


def test_quantised_v_cache(tiny: Path) -> None:
    _document, told = loop(embedded(tiny, "-c", "512", "-ctv", "q8_0", "-fa", "off"))
    cured(told, "vquant-needs-flash-attention")


def test_hidden_reason_is_named(tiny: Path, tmp_path: Path) -> None:
    """verbose=False leaves a ValueError alone; with verbose=True the rule for the real reason speaks."""
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny.read_bytes()[: tiny.stat().st_size * 6 // 10])
    silent = replace(embedded(cut, "-c", "512"), verbose=False)
    _document, told = loop(silent, fixed=replace(silent, verbose=True))
    assert told.verdict == "confirmed", told
    assert told.failure == "llama-python-verbose-off"
    assert "model-file-truncated" in told.reason


def test_unknown_architecture_needs_a_newer_engine(shelf: Path) -> None:
    model = models.write(shelf / "qwen3.gguf", architecture="qwen3")
    old = embedded(model, "-c", "512", version="0.3.7")
    _document, told = loop(old, fixed=embedded(model, "-c", "512"))
    cured(told, "model-unknown-architecture")


def test_context_shift(tiny: Path) -> None:
    """Beyond the context by the engine's own shift, on both engines: a healthy run confirms nothing."""
    for version in ("0.3.7", "0.3.36"):
        setup = embedded(tiny, "-c", "256", version=version)
        _document, told = loop(setup, fixed=replace(setup, cold=True), workload="generate_past_context")
        assert told.verdict == "inconclusive"
        assert told.reason.startswith("failure not reproduced"), told


def test_view_abort_is_not_in_upstream(tiny: Path) -> None:
    """The published abort at the first context shift over RPC needs llama-box's patch: upstream never had it."""
    at = free_port()
    setup = replace(
        embedded(tiny, "-c", "256", "-ngl", "99", "--rpc", f"127.0.0.1:{at}", version="0.3.7"),
        beside=(worker(at, engines.old_rpc_server()),),
    )
    _document, told = loop(
        setup,
        fixed=replace(setup, words=(*setup.words, "--no-context-shift")),
        workload="generate_past_context",
        rule_id="rpc-kv-view-stale-support",
    )
    assert told.verdict == "inconclusive"
    assert told.reason.startswith("failure not reproduced"), told
    assert told.trials[0].outcome == "healthy"
