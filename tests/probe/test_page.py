"""The page of machines that are not here: what matters stands there, what is odd beside it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from doctor.probe import Answer, Probe, Status
from doctor.probe.judge import judge_machine
from doctor.probe.page import print_probe
from doctor.probe.read import fill
from doctor.report.page import Page

MACHINES = Path(__file__).parents[2] / "fixtures" / "hardware" / "machines"
NAMES = sorted(path.stem for path in MACHINES.glob("*.txt"))


def machine(name: str) -> Probe:
    text = (MACHINES / f"{name}.txt").read_text(encoding="utf-8")
    return fill(Probe(host=name, answers=[Answer(name="paste", asked="", status=Status.OK, output=text)]))


def page(name: str) -> str:
    out = io.StringIO()
    print_probe(machine(name), Page(out))
    return " ".join(out.getvalue().split())


@pytest.mark.parametrize("name", NAMES)
def test_every_machine_has_a_page(name: str) -> None:
    shown = page(name)
    assert shown.startswith(name)
    assert "None" not in shown


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rtx-4090-desktop", "24.0 GiB, 21.7 GiB free · display attached"),
        ("rtx-3090-pair-x8-x4", "PCIe ×4 of ×16, generation 3 of 4"),
        ("rtx-3060-hot", "clocks held down: hw_slowdown, hw_thermal, thermal"),
        ("v100-power-capped", "150 of 150 W (default 300)"),
        ("container-cgroup-v2", "limited to 16.0 GiB by its cgroup"),
        ("rx-6800-sysfs-only", "ann may not open /dev/kfd"),
        ("software-and-services", "shadowed by the one above"),
        ("m2-ultra-192", "shares the machine's RAM"),
        ("nouveau", "kernel driver nouveau"),
    ],
)
def test_what_is_odd_stands_on_it(name: str, words: str) -> None:
    assert words in page(name)


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("h100-ecc-errors", {"machine-gpu-broken"}),
        ("rtx-3060-hot", {"machine-gpu-overheated"}),
        ("rtx-3090-pair-x8-x4", {"machine-gpu-lanes"}),
        ("rx-6800-sysfs-only", {"machine-gpu-file-closed"}),
        ("nouveau", {"machine-nouveau"}),
        ("cpu-epyc-1tb-numa8", {"machine-memory-pressure"}),
        ("rtx-4090-desktop", set()),
        ("a100-8-nvlink", set()),
        ("b200-driver-580", set()),
        ("m2-ultra-192", set()),
        ("rx-7900-xtx", set()),
        ("ascend-910b-8", set()),
    ],
)
def test_the_rule_book_judges_a_machine_alone(name: str, rules: set[str]) -> None:
    assert {finding.rule_id for finding in judge_machine(machine(name)).findings} == rules
