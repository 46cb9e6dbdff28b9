"""Where the engines lie that ``tools/engines.sh`` has built. A test that needs one is never left out in silence."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

HINT = "bash tools/engines.sh builds them, or LLMDOCTOR_LLAMA_CPP names the folder of llama-server"


def root() -> Path:
    return Path(os.environ.get("LLMDOCTOR_ENGINES") or Path.home() / ".cache" / "llmdoctor-engines")


def llama_cpp() -> Path:
    """The folder of llama-server, llama-bench, llama-cli and ggml-rpc-server of the newest version."""
    named = os.environ.get("LLMDOCTOR_LLAMA_CPP")
    for folder in ([named] if named else []) + [str(root() / "llama.cpp-0.3.36" / "bin")]:
        if shutil.which("llama-server", path=folder):
            return Path(folder)
    found = shutil.which("llama-server")
    return Path(found).parent if found else missing("llama-server")


def old_rpc_server() -> Path:
    """rpc-server of January 2025."""
    path = root() / "llama.cpp-0.3.7" / "bin" / "rpc-server"
    return path if path.exists() else missing("rpc-server of January 2025")


def python(version: str) -> Path:
    """A folder for PYTHONPATH with that version of llama-cpp-python."""
    path = root() / f"python-{version}"
    return path if (path / "llama_cpp" / "__init__.py").exists() else missing(f"llama-cpp-python {version}")


def xllamacpp() -> Path:
    """A folder for PYTHONPATH with xllamacpp."""
    path = root() / "xllamacpp"
    return path if (path / "xllamacpp").exists() else missing("xllamacpp")


def missing(what: str) -> Path:
    """Fails where engines were promised (CI, or LLMDOCTOR_ENGINES), and says how to get them elsewhere."""
    if os.environ.get("CI") or os.environ.get("LLMDOCTOR_ENGINES"):
        pytest.fail(f"no {what}: {HINT}")
    pytest.skip(f"no {what}: {HINT}")
