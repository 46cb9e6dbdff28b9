from __future__ import annotations

import json
from pathlib import Path

import pytest

from doctor.errors import UsageProblem
from doctor.planning.cards import card_bandwidth
from doctor.planning.target import Target, examples, metal_limit, read_target
from tests.planning.support import GIB, MIB


def of(folder: Path, text: str, name: str = "host.yaml") -> Target:
    path = folder / name
    path.write_text(text)
    return read_target(str(path))


@pytest.mark.parametrize("name", examples())
def test_every_example_is_a_whole_machine(name: str) -> None:
    found = read_target(name)
    assert found.ram and found.bandwidth and found.cpu_flags
    assert all(device.bandwidth and 0 < device.free <= device.total for device in found.devices)


def test_the_promised_machines_are_there() -> None:
    promised = {"2x-rtx-4090", "8x-h100", "m3-ultra-512gb", "dual-epyc-1tb", "strix-halo-128gb", "jetson-agx-orin-64gb"}
    assert promised <= set(examples())
    assert [device.name for device in read_target("8x-h100").devices] == [f"CUDA{index}" for index in range(8)]
    assert read_target("m3-ultra-512gb").devices[0].total == 384 * GIB


def test_a_few_lines_are_a_machine(tmp_path: Path) -> None:
    lines = "ram: 64 GiB\nfree: 60 GiB\ndevices:\n- {name: GeForce RTX 3090, memory: 24 GiB, free: 23 GiB}\n"
    found = of(tmp_path, lines + "- {name: Radeon RX 7900 XTX, memory: 24 GiB, count: 2}\n")
    assert [(device.name, device.backend) for device in found.devices] == [
        ("CUDA0", "cuda"),
        ("ROCm1", "rocm"),
        ("ROCm2", "rocm"),
    ]
    assert found.devices[0].free == 23 * GIB
    assert found.devices[0].bandwidth == 936e9
    assert found.host_free == 60 * GIB


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rams: 3 GiB", "unknown key 'rams'"),
        ("ram: many", "is no size"),
        ("devices: 4090", "is no list"),
        ("devices: [4090]", "is not 'key: value'"),
        ("devices: [{name: RTX 4090}]", "has no 'memory'"),
        ("devices: [{memory: 1 GiB, count: 1000000}]", "is no number of devices"),
        ("devices: [{memory: 1 GiB, bandwidth: fast}]", "is no rate"),
        ("{" * 3000, "not JSON"),
        ("a: &a [*a]", "unknown key"),
        ("", "no 'key: value'"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageProblem, match=words) as caught:
        of(tmp_path, text)
    assert "\n" not in caught.value.message


def test_an_unknown_name_lists_the_examples() -> None:
    with pytest.raises(UsageProblem, match="no such target") as caught:
        read_target("9x-nothing")
    assert "2x-rtx-4090" in (caught.value.hint or "")
    with pytest.raises(UsageProblem):
        read_target("a\0b")


def test_a_probe_document_is_a_machine(tmp_path: Path) -> None:
    device = {"index": 0, "description": "NVIDIA GeForce RTX 4090", "total": 24564 * MIB, "used": 500 * MIB}
    software = {"index": 1, "description": "llvmpipe", "total": GIB, "software": True}
    facts = {"host.ram_total": "64GiB", "host.ram_available": 60 * GIB, "host.cgroup_limit": 32 * GIB}
    document = {
        "schema": "llmdoctor/probe/1",
        "host": "box",
        "facts": facts | {"host.cpu_flags": ["avx2"]},
        "records": {"device": [device, software]},
    }
    found = of(tmp_path, json.dumps(document), "probe.json")
    assert (found.name, found.ram, found.host_free) == ("box", 64 * GIB, 32 * GIB)
    assert [(d.name, d.free, d.bandwidth) for d in found.devices] == [("CUDA0", 24064 * MIB, 1008e9)]
    assert found.cpu_flags == {"avx2"}


def test_a_probe_of_a_mac_has_the_default_share(tmp_path: Path) -> None:
    document = {
        "schema": "llmdoctor/probe/1",
        "facts": {"host.ram_total": 64 * GIB, "host.cpu_model": "Apple M4 Max"},
        "records": {"device": [{"description": "Apple M4 Max", "backend": "metal"}]},
    }
    found = of(tmp_path, json.dumps(document), "mac.json")
    assert found.devices[0].total == metal_limit(64 * GIB) == 48 * GIB
    assert found.devices[0].shared
    assert found.assumed


@pytest.mark.parametrize("broken", [{"facts": 3}, {"records": []}, {"answers": 7}, {"answers": [{}]}])
def test_a_broken_probe_document_gives_one_error_or_an_empty_machine(tmp_path: Path, broken: dict[str, object]) -> None:
    try:
        found = of(tmp_path, json.dumps({"schema": "llmdoctor/probe/1", **broken}), "probe.json")
    except UsageProblem:
        return
    assert found.devices == ()


def test_this_machine_has_memory() -> None:
    assert (read_target(None).ram or 0) > GIB


@pytest.mark.parametrize(
    ("name", "rate"),
    [("NVIDIA GeForce RTX 4070 Ti SUPER", 672), ("NVIDIA H100 PCIe", 2039), ("NVIDIA H100 80GB HBM3", 3350)],
)
def test_the_longest_name_of_a_card_counts(name: str, rate: float) -> None:
    assert card_bandwidth(name) == rate * 1e9


@pytest.mark.parametrize("name", [None, "", "Intel UHD Graphics", "GeForce GTX 1060", "Quadro T400"])
def test_other_cards_have_no_published_rate(name: str | None) -> None:
    assert card_bandwidth(name) is None
