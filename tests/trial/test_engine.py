"""A real llama-server under ``llmdoctor run``: what it says when that fails, and that it says nothing when it does not.

``LLMDOCTOR_LLAMA_CPP`` names the folder of llama-server; without it one on PATH is taken.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from doctor.trial import cgroup
from doctor.trial.launch import MIB, Launch, Limits, launch
from tests.engines import llama_cpp

pytestmark = pytest.mark.engine
SERVING = "listening on http"


@pytest.fixture(scope="module")
def server() -> str:
    return str(llama_cpp() / "llama-server")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("gguf")
    sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
    from modelgen import SPECS, write

    path = tmp_path_factory.mktemp("model") / "llama-tied.gguf"
    write(SPECS["llama-tied"], path)
    return path


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-c", "from doctor.cli import main; main()", "run", *map(str, arguments)]


def diagnosed(folder: Path, *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    """Exit status and diagnosis."""
    words = command("--format", "json", "-o", folder / "diagnosis.json", "--", *arguments)
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=300)
    return done.returncode, json.loads((folder / "diagnosis.json").read_text())


def small(model: Path, port: int) -> list[str | Path]:
    return ["-m", model, "-c", "512", "-np", "1", "-t", "2", "--port", str(port)]


def test_a_server_without_its_model(server: str, tmp_path: Path) -> None:
    status, document = diagnosed(tmp_path, server, "-m", tmp_path / "none.gguf")
    assert (status, document["findings"][0]["rule_id"]) == (1, "model-file-not-found")


def test_a_quantised_v_cache_without_flash_attention(server: str, model: Path, tmp_path: Path) -> None:
    status, document = diagnosed(tmp_path, server, *small(model, 8331), "-fa", "off", "-ctv", "q8_0")
    assert status == 1
    finding = document["findings"][0]
    assert (finding["rule_id"], finding["role"]) == ("vquant-needs-flash-attention", "root_cause")
    assert "-fa on" in str(finding["remedies"][0]["diff"])


def test_a_healthy_server_that_is_asked_to_end_says_nothing(server: str, model: Path) -> None:
    words = command("--ready-timeout", "120", "--", server, *small(model, 8332))
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if SERVING in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(60) == 0
    assert "llmdoctor" not in rest


def test_a_server_in_too_small_a_cgroup_is_killed_alone(server: str, model: Path, tmp_path: Path) -> None:
    present = cgroup.present()
    if present is None or not os.access(present.path, os.W_OK):
        if os.environ.get("CI"):
            pytest.fail("no memory cgroup can be made here")
        pytest.skip("no memory cgroup can be made here")
    words = (server, *map(str, small(model, 8333)), "-lm", "none", "-fit", "off")
    with launch(Launch(words), Limits(memory=300 * MIB, deadline=120)) as child:
        ending = child.ending(120)
    assert ending is not None
    assert (ending.why, ending.signal) == ("out_of_memory", "SIGKILL")
    assert ending.cgroup is not None
    assert ending.cgroup.kills == 1


def test_a_worker_that_was_frozen_is_found_by_the_stall_clock(server: str, model: Path) -> None:
    """It writes no line and uses no CPU: nothing but the clock tells."""
    with launch(Launch((server, *map(str, small(model, 8334)))), Limits(stall=8, deadline=300)) as child:
        while SERVING not in child.output.read_text(errors="replace"):
            assert child.ending(0.1) is None
        os.kill(child.pid, signal.SIGSTOP)
        ending = child.ending(120)
    assert ending is not None
    assert ending.why == "stalled"
    assert ending.usage.mapped > 100 * MIB
