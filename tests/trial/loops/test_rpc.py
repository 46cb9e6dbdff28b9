"""RPC workers that are dead, killed, frozen, too small, or speak another protocol."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from doctor.trial.setup import Beside, Setup
from tests import engines
from tests.trial.loops.conftest import free_port
from tests.trial.loops.support import cured, loop
from tests.trial.loops.test_settings import server

pytestmark = pytest.mark.engine
MIB = 1 << 20


def worker(port: int, program: Path | None = None) -> Beside:
    program = program or engines.llama_cpp() / "ggml-rpc-server"
    words = (str(program), "-H", "127.0.0.1", "-p", str(port))
    return Beside(words, f"127.0.0.1:{port}", {"GGML_NO_BACKTRACE": "1"})


def client(model: Path, port: int, at: int, *more: str) -> Setup:
    return server(model, port, "-c", "512", "-ngl", "99", "--rpc", f"127.0.0.1:{at}", *more)


def test_dead_worker(tiny: Path, port: int) -> None:
    at = free_port()
    broken = client(tiny, port, at)
    _document, told = loop(broken, fixed=replace(broken, beside=(worker(at),)))
    cured(told, "rpc-server-unreachable")
    assert told.effect == "seen"
    assert f"buffers lie on 127.0.0.1:{at}" in told.effect_text


def test_worker_killed_in_mid_generation(tiny: Path, port: int) -> None:
    at = free_port()
    sound = replace(client(tiny, port, at), beside=(worker(at),))
    broken = replace(sound, beside=(replace(worker(at), fault="kill"),))
    _document, told = loop(broken, fixed=sound, workload="generate_past_context")
    cured(told, "rpc-worker-lost")


def test_worker_frozen_in_mid_generation(tiny: Path, port: int) -> None:
    """Not one line tells of it: only the stall clock ends the trial."""
    at = free_port()
    sound = replace(client(tiny, port, at), beside=(worker(at),))
    broken = replace(sound, beside=(replace(worker(at), fault="freeze"),))
    _document, told = loop(broken, fixed=sound, workload="generate_past_context")
    assert told.verdict == "confirmed", told
    before, after = told.trials[0], told.trials[-1]
    assert before.outcome == "hung"
    assert "no sign of life" in before.ended
    assert after.outcome == "healthy"


def test_worker_out_of_memory(large: Path, port: int) -> None:
    at = free_port()
    sound = replace(client(large, port, at, "--fit", "off", "--no-warmup"), beside=(worker(at),))
    broken = replace(sound, beside=(replace(worker(at), address_space=120 * MIB),))
    _document, told = loop(broken, fixed=sound)
    assert told.verdict == "confirmed", told
    assert told.failure is not None
    assert told.failure.startswith("rpc-worker-out-of-"), told.failure


def test_worker_of_another_protocol(tiny: Path, port: int) -> None:
    at = free_port()
    sound = replace(client(tiny, port, at), beside=(worker(at),))
    broken = replace(sound, beside=(worker(at, engines.old_rpc_server()),))
    _document, told = loop(broken, fixed=sound)
    cured(told, "rpc-worker-older-than-client")


def test_nothing_lies_on_the_worker(tiny: Path, port: int) -> None:
    """A fix after which everything runs on this machine proves nothing of the worker."""
    at = free_port()
    broken = client(tiny, port, at)
    alone = replace(broken, beside=(worker(at),), words=(*broken.words, "--device", "none"))
    _document, told = loop(broken, fixed=alone)
    assert told.verdict == "inconclusive", told
    assert "did not take effect" in told.reason
