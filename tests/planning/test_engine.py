"""A real llama-server, started on models made on the fly: its buffers are those of the plan.

``LLMDOCTOR_LLAMA_CPP`` names the folder of llama-server (and ggml-rpc-server); without it one on PATH is taken.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.planning.support import MIB, SPECS

pytestmark = pytest.mark.engine


def engine() -> Path:
    named = os.environ.get("LLMDOCTOR_LLAMA_CPP")
    found = shutil.which("llama-server", path=named) if named else shutil.which("llama-server")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("no llama-server: LLMDOCTOR_LLAMA_CPP names its folder")
        pytest.skip("no llama-server: LLMDOCTOR_LLAMA_CPP names its folder")
    return Path(found).parent


@pytest.mark.parametrize("name", ["llama-tied", "jamba", "deepseek-v2-lite", "lfm2"])
def test_buffers_of_a_start(name: str, tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    from bench_memory import compare
    from memory_runs import run
    from modelgen import write

    path = write(SPECS[name], tmp_path / f"{name}.gguf")
    arguments = ["-c", "2048", "-np", "1"]
    found = compare({"model": name, "devices": [], **run(engine(), path, arguments)})
    assert found.weights_error < 0.01
    assert abs(found.error("kv")) < MIB
    assert abs(found.error()) <= max(0.03 * found.total(printed=True), 64 * MIB)


def test_layers_on_an_rpc_worker(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    from bench_memory import compare
    from memory_runs import record
    from modelgen import write

    if not (engine() / "ggml-rpc-server").exists():
        pytest.skip("no ggml-rpc-server beside llama-server")
    write(SPECS["llama-tied"], tmp_path / "llama-tied.gguf")
    runs = [entry for entry in record(engine(), tmp_path, ["llama-tied"]) if entry["devices"]]
    assert runs
    for entry in runs:
        found = compare(entry)
        assert found.weights_error < 0.01
        assert abs(found.error()) <= max(0.03 * found.total(printed=True), 64 * MIB)
