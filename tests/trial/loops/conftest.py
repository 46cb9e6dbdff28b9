"""Models, ports, and turns: figures of speed are only taken while no other loop runs."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trial import models


@pytest.fixture(autouse=True)
def turn(request: pytest.FixtureRequest) -> Iterator[None]:
    """Loops run side by side under xdist; those that measure speed wait until they are alone."""
    alone = request.node.get_closest_marker("alone") is not None
    path = Path(tempfile.gettempdir()) / f"llmdoctor-loops-{os.getuid()}.lock"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models, made once a worker."""
    pytest.importorskip("gguf")
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def tiny(shelf: Path) -> Path:
    """3 MB, and a context of 4096 tokens."""
    return models.write(shelf / "tiny.gguf")


@pytest.fixture(scope="session")
def large(shelf: Path) -> Path:
    """About 150 MB: more than the small memory limits of these tests."""
    return models.write(shelf / "large.gguf", layers=4, width=1024, words=16000)


@pytest.fixture(scope="session")
def small_quantisation(shelf: Path) -> Path:
    """The large one at half its size."""
    return models.write(shelf / "small.gguf", layers=4, width=1024, words=16000, kind="Q8_0")


@pytest.fixture
def port() -> int:
    """A port that nothing listens on."""
    return free_port()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found
