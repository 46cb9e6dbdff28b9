"""Model files that are not there, cut, or something else: cured by the right file, which only a person can name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.trial.loops.support import cured, loop
from tests.trial.loops.test_settings import server

pytestmark = pytest.mark.engine


def absent(_right: Path, _wrong: Path) -> None:
    """Nothing is there."""


def cut(right: Path, wrong: Path) -> None:
    shutil.copy(right, wrong)
    with wrong.open("r+b") as file:
        file.truncate(right.stat().st_size * 6 // 10)


def page(_right: Path, wrong: Path) -> None:
    wrong.write_text("<!DOCTYPE html><html><head><title>Sign in</title></head><body></body></html>\n" * 40)


@pytest.mark.parametrize(
    ("make", "rule"),
    [(absent, "model-file-not-found"), (cut, "model-file-truncated"), (page, "model-file-not-gguf")],
)
def test_wrong_file(make: Callable[[Path, Path], None], rule: str, tiny: Path, port: int, tmp_path: Path) -> None:
    wrong = tmp_path / "model.gguf"
    make(tiny, wrong)
    _document, told = loop(server(wrong, port, "-c", "512"), fixed=server(tiny, port, "-c", "512"))
    cured(told, rule)
    assert str(tiny) in told.change
