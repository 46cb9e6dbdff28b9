"""Programs and libraries of engines: what they were built with, by the files that lie there. Nothing of them is run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from doctor.facts.hardware import read_hardware
from doctor.probe.engines import programs


def environment(folder: Path, version: str, libraries: dict[str, bytes]) -> None:
    """A virtual environment with llama-cpp-python in it, as pip leaves one."""
    site = folder / "lib" / "python3.11" / "site-packages"
    (site / "llama_cpp" / "lib").mkdir(parents=True)
    (site / f"llama_cpp_python-{version}.dist-info").mkdir()
    for name, content in libraries.items():
        (site / "llama_cpp" / "lib" / name).write_bytes(content)
    (folder / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (folder / "bin").mkdir()
    (folder / "bin" / "python3").symlink_to(sys.executable)


@pytest.mark.parametrize(
    ("libraries", "backends"),
    [
        (["libggml-base.so", "libggml-cpu.so", "libggml.so", "libllama.so"], ["cpu"]),
        (["libggml-base.so", "libggml-cpu.so", "libggml-cuda.so", "libllama.so"], ["cpu", "cuda"]),
        (["libggml-base.dylib", "libggml-metal.dylib", "libggml-blas.dylib"], ["blas", "metal"]),
        (["libllama.so:ggml_backend_x ggml_backend_cuda_reg"], ["cuda"]),
        ([], None),
    ],
)
def test_what_llama_cpp_python_was_built_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, libraries: list[str], backends: list[str] | None
) -> None:
    files = {name.split(":")[0]: name.partition(":")[2].encode() or b"-" for name in libraries}
    environment(tmp_path, "0.3.16", files)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.delenv("LLAMA_CPP_LIB_PATH", raising=False)
    found = [
        record.fields
        for record in read_hardware(programs(5), "programs").records
        if record.kind == "program" and str(record.get("path")).startswith(str(tmp_path))
    ]
    assert [(each["name"], each["version"], each.get("backends")) for each in found] == [
        ("llama-cpp-python", "0.3.16", backends)
    ]


def test_the_folder_of_libraries_that_is_named_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment(tmp_path, "0.3.16", {"libggml-cpu.so": b"-"})
    other = tmp_path / "own"
    other.mkdir()
    (other / "libggml-vulkan.so").write_bytes(b"-")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(other))
    assert f"ggml back end vulkan: {other}/libggml-vulkan.so" in programs(5)
