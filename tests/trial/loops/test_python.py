"""llama-cpp-python in a child process: a hidden reason, an old engine, a context shift."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from doctor.trial.runners import Clocks
from doctor.trial.setup import Beside, Setup
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


@pytest.mark.timeout(1800)
@pytest.mark.skipif(not os.environ.get("LLMDOCTOR_LLAMABOX_PATCH"), reason="LLMDOCTOR_LLAMABOX_PATCH names no patch")
def test_view_abort_of_llama_box(shelf: Path, tmp_path: Path) -> None:
    """The published incident, for whoever has the patch of llama-box v0.0.117's RPC client (it is on no registry).

    ``LLMDOCTOR_LLAMABOX_PATCH`` names that ``ggml-rpc.patch``: it is applied to the sources of January 2025.
    ``LLMDOCTOR_LLAMABOX_WORKER`` is the command of a worker with the patch's server half, on a device that refuses
    GET_ROWS on K-quants as CUDA did then; ``{port}`` in it is the port.
    """
    at = free_port()
    python = patched(Path(os.environ["LLMDOCTOR_LLAMABOX_PATCH"]), tmp_path)
    words = os.environ.get("LLMDOCTOR_LLAMABOX_WORKER", f"{engines.old_rpc_server()} -H 127.0.0.1 -p {{port}}")
    beside = Beside(tuple(shlex.split(words.format(port=at))), f"127.0.0.1:{at}")
    model = quantised(models.write(shelf / "f16.gguf"), shelf / "q2_k.gguf", python)
    setup = Setup(
        ("llama-server", "-m", str(model), "-t", "1", "-c", "256", "-ngl", "99", "--rpc", f"127.0.0.1:{at}"),
        # The libraries look for each other where they were built, unless they are told otherwise.
        {"PYTHONPATH": str(python), "LD_LIBRARY_PATH": str(python / "llama_cpp" / "lib")},
        python=True,
        beside=(beside,),
    )
    sound = replace(setup, env={"PYTHONPATH": str(engines.python("0.3.7"))})
    slow = Clocks(deadline=600, stall=180)  # a software GPU compiles its shaders first
    _document, told = loop(setup, fixed=sound, workload="generate_past_context", clocks=slow)
    assert told.verdict == "confirmed", (told.reason, told.trials)
    # It says that it is llama-cpp-python, which never had that client: llama-box's own rule rightly says nothing.
    assert told.failure == "kv-unsupported-op-other"
    before, after = told.trials
    assert (before.outcome, before.rule_id) == ("crashed", told.failure)
    assert "(cache_k_l0 (view)) in a buffer (RPC[" in before.evidence[0].text
    assert "cannot run the operation (VIEW)" in before.evidence[0].text
    assert after.outcome in {"healthy", "degraded"}  # a software GPU is slow, which is told


def patched(patch: Path, folder: Path) -> Path:
    """llama-cpp-python 0.3.7 with the patched RPC client: one library compiled anew, the rest as it is."""
    old = engines.python("0.3.7")
    source = engines.root() / "src" / "llama_cpp_python-0.3.7" / "vendor" / "llama.cpp"
    tree, python = folder / "llama.cpp", folder / "python"
    shutil.copytree(source / "ggml", tree / "ggml")
    subprocess.run(["patch", "-p1", "-i", str(patch.absolute())], cwd=tree, check=True, capture_output=True)
    shutil.copytree(old, python, symlinks=True)
    libraries = python / "llama_cpp" / "lib"  # a link to what was built
    libraries.unlink()
    shutil.copytree(old / "llama_cpp" / "lib", libraries, symlinks=True)
    ggml = tree / "ggml"
    subprocess.run(
        [
            *("g++", "-O2", "-std=c++17", "-fPIC", "-shared", "-DGGML_BACKEND_SHARED", "-DGGML_BACKEND_BUILD"),
            *("-DGGML_SHARED", f"-I{ggml}/include", f"-I{ggml}/src", str(ggml / "src/ggml-rpc/ggml-rpc.cpp")),
            *("-o", str(libraries / "libggml-rpc.so"), f"-L{libraries}", "-lggml-base", "-Wl,-rpath,$ORIGIN"),
        ],
        check=True,
    )
    return python


def quantised(model: Path, to: Path, python: Path) -> Path:
    """The model as Q2_K, by the engine's own function."""
    code = (
        "import llama_cpp as L, sys\n"
        "p = L.llama_model_quantize_default_params(); p.ftype = L.LLAMA_FTYPE_MOSTLY_Q2_K\n"
        "raise SystemExit(L.llama_model_quantize(sys.argv[1].encode(), sys.argv[2].encode(), p))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(python)}
    subprocess.run([sys.executable, "-c", code, str(model), str(to)], check=True, env=environment, capture_output=True)
    return to
