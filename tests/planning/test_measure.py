"""llama.cpp's own measure: the child process as it answers, fails, hangs; and the real one where it is installed."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import pytest

from benchmarks.modelgen import SPECS, write
from doctor.model.read import read_model
from doctor.planning import measure as module
from doctor.planning.document import PlanDocument
from doctor.planning.measure import Measured, is_available, measure
from doctor.planning.plan import plan
from doctor.planning.target import read_target
from tests import engines
from tests.planning.support import MIB


def interpreter(folder: Path, body: str) -> str:
    """A program in the place of the Python that has the package: it is given the child's script and the request."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def planned(folder: Path, body: str, **settings: object) -> PlanDocument:
    model = write(SPECS["llama-tied"], folder / "m.gguf")
    given = {
        "setting.context": 8192,
        "setting.slots": 1,
        **{f"setting.{name}": value for name, value in settings.items()},
    }
    asked = partial(measure, model, python=interpreter(folder, body))
    return plan(read_model(model), given, read_target("dual-epyc-1tb"), ask_engine=asked)


def test_the_engines_figure_wins_and_both_are_told(tmp_path: Path) -> None:
    answer = json.dumps({"by": "llama-cpp-python 9", "compute": {"CPU": 100.5, "CUDA_Host": 1.5}})
    document = planned(tmp_path, f"echo noise; echo '{answer}'")
    (host,) = [place for place in document.places if place.name == "host"]
    (compute,) = [part for part in host.parts if part.kind == "compute"]
    assert (compute.bytes, compute.exact) == (102 * MIB, True)
    assert host.need == sum(part.bytes for part in host.parts if part.kind != "mapped weights")
    pair = document.measured["compute"]["host"]
    assert (pair["measured"], pair["estimate"]) == (102 * MIB, 72 * MIB + pair["estimate"] % MIB)
    assert "measured by llama-cpp-python 9: host 102.0 MiB (estimate 72.0 MiB)" in document.notes[-1]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ('echo \'{"failed": "unknown model architecture"}\'', "unknown model architecture"),
        ("echo ModuleNotFoundError >&2; exit 1", "ModuleNotFoundError"),
        ("kill -ABRT $$", "it ended without a word"),
        ("echo '[1'", "its answer can't be read"),
        ("sleep 60", "stopped after"),
    ],
)
def test_what_goes_wrong_is_a_note_and_the_estimate_counts(
    tmp_path: Path, body: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS", 3.0)
    document = planned(tmp_path, body)
    assert document.verdict == "fits"
    assert document.measured == {}
    assert f"not to be had: {why}" in document.notes[-1]


def test_what_cannot_be_handed_on_is_not_asked(tmp_path: Path) -> None:
    assert planned(tmp_path, "exit 1", n_cpu_moe=3).measured == {}
    assert not any("measure" in note for note in planned(tmp_path, "exit 1", n_cpu_moe=3).notes)


@pytest.mark.engine
@pytest.mark.parametrize(("context", "slots"), [(8192, 1), (8192, 4), (16384, 1)])
def test_the_real_measure_is_what_llama_server_prints(tmp_path: Path, context: int, slots: int) -> None:
    from memory_runs import run

    model = write(SPECS["llama-tied"], tmp_path / "m.gguf")
    package = engines.python("0.3.36")  # the child is isolated (-I): the package lies in a folder of its own here
    python = interpreter(tmp_path, f'shift; PYTHONPATH="{package}" exec {sys.executable} "$@"')
    given = {"setting.context": context, "setting.slots": slots}
    document = plan(
        read_model(model),
        given,
        read_target("dual-epyc-1tb"),
        ask_engine=partial(measure, model, python=python),
    )
    buffers = run(engines.llama_cpp(), model, ["-c", str(context), "-np", str(slots)])["buffers"]
    (printed,) = [mib for device, kind, mib in buffers if (device, kind) == ("CPU", "compute")]
    assert document.measured["compute"]["host"]["measured"] == pytest.approx(printed * MIB, abs=0.05 * MIB)


def test_no_package_no_question() -> None:
    assert isinstance(is_available(), bool)
    assert Measured().compute == {}
