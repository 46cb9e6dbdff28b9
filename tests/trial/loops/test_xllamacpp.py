"""PyPI's xllamacpp: llama-server's engine as a ready-built wheel, started by a program of three lines."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from doctor.trial.setup import Setup
from tests import engines
from tests.trial.loops.support import cured, loop

pytestmark = pytest.mark.engine

PROGRAM = """\
import sys, time, xllamacpp
p = xllamacpp.CommonParams()
p.model.path, p.n_ctx, p.n_parallel, p.cpuparams.n_threads, p.verbosity = sys.argv[2], 512, 1, 1, 4
p.hostnames, p.port = ["127.0.0.1"], int(sys.argv[4])
server = xllamacpp.Server(p)
while True:
    time.sleep(1)
"""


def test_cut_file(tiny: Path, port: int, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny.read_bytes()[: tiny.stat().st_size * 6 // 10])
    program = tmp_path / "serve.py"
    program.write_text(PROGRAM)

    def setup(model: Path) -> Setup:
        words = (sys.executable, str(program), "-m", str(model), "--port", str(port))
        return Setup(words, {"PYTHONPATH": str(engines.xllamacpp()), "PYTHONUNBUFFERED": "1"})

    _document, told = loop(setup(cut), fixed=setup(tiny))
    cured(told, "model-file-truncated")
