"""NVIDIA's library, told as nvidia-smi tells it. The library is not here: a stand-in answers as its reference says."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace as Plain
from typing import Any

import pytest

from doctor.facts.hardware import read_hardware
from doctor.probe import nvml
from doctor.probe.ask import Call, Command, Either
from doctor.probe.document import Status
from doctor.probe.nvml import describe

MACHINE = Path(__file__).parents[2] / "fixtures/hardware/machines/rtx-4090-desktop.txt"
MIB = 1024 * 1024


class NVMLError(Exception):
    """What the library raises for everything that a card does not have."""


def library(**changed: Any) -> Any:
    """The card of the fixture ``rtx-4090-desktop``; whatever is not named here is "Not Supported"."""
    answers: dict[str, Any] = {
        "nvmlSystemGetDriverVersion": b"560.35.03",
        "nvmlSystemGetCudaDriverVersion_v2": 12060,
        "nvmlDeviceGetCount": 1,
        "nvmlDeviceGetHandleByIndex": "handle",
        "nvmlDeviceGetPciInfo": Plain(busId=b"00000000:01:00.0"),
        "nvmlDeviceGetName": "NVIDIA GeForce RTX 4090",
        "nvmlDeviceGetUUID": "GPU-0",
        "nvmlDeviceGetCudaComputeCapability": (8, 9),
        "nvmlDeviceGetMemoryInfo": Plain(
            total=24564 * MIB, reserved=530 * MIB, used=1812 * MIB, free=22222 * MIB, version=2
        ),
        "nvmlDeviceGetBAR1MemoryInfo": Plain(bar1Total=32768 * MIB),
        "nvmlDeviceGetCurrPcieLinkWidth": 16,
        "nvmlDeviceGetMaxPcieLinkWidth": 16,
        "nvmlDeviceGetCurrPcieLinkGeneration": 1,
        "nvmlDeviceGetMaxPcieLinkGeneration": 4,
        "nvmlDeviceGetEnforcedPowerLimit": 450000,
        "nvmlDeviceGetCurrentClocksEventReasons": 0x01,
        "nvmlDeviceGetPersistenceMode": 0,
        "nvmlDeviceGetComputeRunningProcesses": [Plain(pid=77, usedGpuMemory=1000 * MIB)],
        "nvmlDeviceGetGraphicsRunningProcesses": [
            Plain(pid=77, usedGpuMemory=None),
            Plain(pid=9, usedGpuMemory=2**64 - 1),
        ],
        "nvmlSystemGetProcessName": "/usr/bin/ollama <serve> & co",
        **changed,
    }

    class Library:
        pass

    module: Any = Library()
    module.NVMLError = NVMLError
    module.nvmlMemory_v2 = 33554472

    def function(name: str) -> Any:
        def answer(*_words: Any) -> Any:
            if isinstance(answers.get(name), Exception):
                raise answers[name]
            if name not in answers:
                raise NVMLError("Not Supported")
            return answers[name]

        return answer

    for name in ASKED:
        setattr(module, name, function(name))
    return module


ASKED = sorted(
    set(re.findall(r"\bnvml(?:Device|System)Get\w+", Path(nvml.__file__).read_text()))
    | {f"nvmlDeviceGet{name}" for name in ("PowerUsage", "EnforcedPowerLimit", "PowerManagementDefaultLimit")}
)


def read(module: Any) -> Any:
    return read_hardware("".join(f"{line}\n" for line in describe(module)), "nvml")


def test_the_same_facts_as_of_nvidia_smi() -> None:
    told, saved = read(library()), read_hardware(MACHINE.read_text(), "saved")
    assert told.problems == []
    assert {fact.name: fact.value for fact in told.facts} == {
        fact.name: fact.value for fact in saved.facts if fact.name in {"host.gpu_driver", "host.cuda_version"}
    }
    (one,), (other,) = ([r.fields for r in reading.records if r.kind == "device"] for reading in (told, saved))
    same = ("index", "backend", "description", "bus", "total", "used", "free", "pcie_width", "pcie_width_max")
    assert {name: one[name] for name in same} == {name: other[name] for name in same}
    assert (one["capability"], one["power_limit"], one["throttle"], one["persistence"]) == ("8.9", 450.0, [], False)
    assert (one["reserved"], one["visible"]) == (530 * MIB, 32768 * MIB)
    assert (one["pcie_generation"], one["pcie_generation_max"]) == (1, 4)
    processes = [record.fields for record in told.records if record.kind == "process"]
    assert {each["pid"]: each.get("bytes") for each in processes} == {77: 1000 * MIB, 9: None}
    assert processes[0]["name"] == "/usr/bin/ollama <serve> & co"


def test_what_holds_the_clocks_down_and_what_is_broken() -> None:
    (device,) = (
        record.fields
        for record in read(
            library(
                nvmlDeviceGetCurrentClocksEventReasons=0x04 | 0x40,
                nvmlDeviceGetRemappedRows=(0, 1, 0, 1),
                nvmlDeviceGetMigMode=(1, 1),
                nvmlDeviceGetEccMode=(1, 1),
                nvmlDeviceGetTotalEccErrors=3,
                nvmlDeviceGetComputeMode=3,
                nvmlDeviceGetAddressingMode=2,
            )
        ).records
        if record.kind == "device"
    )
    assert device["throttle"] == ["power_cap", "hw_thermal"]
    assert (device["remap_failed"], device["mig"], device["ecc"], device["ecc_uncorrected"]) == (True, True, True, 3)
    assert (device["compute_mode"], device["addressing"]) == ("Exclusive_Process", "ATS")


def test_a_lost_card_does_not_cost_the_others() -> None:
    module = library(nvmlDeviceGetCount=2)
    whole = module.nvmlDeviceGetHandleByIndex

    def handle(index: int) -> Any:
        if index == 0:
            raise NVMLError("GPU is lost -- and a comment's end -->")
        return whole(index)

    module.nvmlDeviceGetHandleByIndex = handle
    assert [record.fields["description"] for record in read(module).records if record.kind == "device"] == [
        "NVIDIA GeForce RTX 4090"
    ]


def test_the_real_package_has_every_function() -> None:
    pynvml = pytest.importorskip("pynvml")
    assert [name for name in ASKED if not hasattr(pynvml, name)] == []
    assert hasattr(pynvml, "nvmlMemory_v2")


def test_without_the_library_nvidia_smi_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without a driver the package says so, or is not there; both ways the tool's turn comes."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho from the tool\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    ways = (Call("nvidia-smi", nvml.ASKED, nvml.question), Command("nvidia-smi", ("nvidia-smi", "-q", "-x")))
    answer = Either(ways).get(20)
    if answer.output.startswith("<nvidia_smi_log>"):
        pytest.skip("a machine with an NVIDIA driver")
    assert (answer.status, answer.output) == (Status.OK, "from the tool\n")


def test_a_library_that_hangs_is_not_asked_twice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def hang(_seconds: float) -> str:
        raise TimeoutError("stopped after 1.0 s")

    answer = Either((Call("x", "lib", hang), Command("x", (sys.executable, "-c", "print(1)")))).get(20)
    assert answer.status is Status.TIMED_OUT
