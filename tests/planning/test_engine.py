"""A real llama-server, started on models made on the fly: its buffers are those of the plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engines import llama_cpp, missing
from tests.planning.support import MIB, SPECS

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("name", ["llama-tied", "jamba", "deepseek-v2-lite", "lfm2"])
def test_buffers_of_a_start(name: str, tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    from bench_memory import compare
    from memory_runs import run
    from modelgen import write

    path = write(SPECS[name], tmp_path / f"{name}.gguf")
    arguments = ["-c", "2048", "-np", "1"]
    found = compare({"model": name, "devices": [], **run(llama_cpp(), path, arguments)})
    assert found.weights_error < 0.01
    assert abs(found.error("kv")) < MIB
    assert abs(found.error()) <= max(0.03 * found.total(printed=True), 64 * MIB)


def test_layers_on_an_rpc_worker(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    from bench_memory import compare
    from memory_runs import record
    from modelgen import write

    if not (llama_cpp() / "ggml-rpc-server").exists():
        missing("ggml-rpc-server beside llama-server")
    write(SPECS["llama-tied"], tmp_path / "llama-tied.gguf")
    runs = [entry for entry in record(llama_cpp(), tmp_path, ["llama-tied"]) if entry["devices"]]
    assert runs
    for entry in runs:
        found = compare(entry)
        assert found.weights_error < 0.01
        assert abs(found.error()) <= max(0.03 * found.total(printed=True), 64 * MIB)
