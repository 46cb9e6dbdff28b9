"""Outputs that take a few lines each: system, Vulkan, containers, macOS."""

from __future__ import annotations

from doctor.facts.hardware import read_hardware
from doctor.vocabulary.facts import ABSENT

from .support import GIB, MIB, facts, lines, reading, records


def test_system() -> None:
    assert facts("system/linux.txt") == {
        "host.os": "Ubuntu 24.04.2 LTS",
        "host.kernel": "5.15.153.1-microsoft-standard-WSL2",
    }
    assert facts("system/macos.txt") == {"host.os": "macOS 15.1", "host.kernel": "24.1.0"}


def test_a_software_renderer_is_no_gpu() -> None:
    (device,) = records("vulkan/llvmpipe.txt", "device")
    assert device == {
        "index": 0,
        "backend": "vulkan",
        "software": True,
        "integrated": False,
        "description": "llvmpipe (LLVM 15.0.6, 256 bits)",
    }
    assert (len(reading("vulkan/llvmpipe.txt").blocks), reading("vulkan/llvmpipe.txt").problems) == (1, [])
    first, second = records("vulkan/two-gpus.txt", "device")
    assert (first["software"], first["integrated"]) == (False, False)
    assert (second["index"], second["integrated"]) == (1, True)


def test_docker_inspect() -> None:
    name = "docker/inspect.json"
    assert facts(name) == {
        "host.container_oom_killed": True,
        "exit.status": 137,
        "host.cgroup_limit": 32 * GIB,
        "host.shm_size": 64 * MIB,
    }
    assert lines(name)["host.cgroup_limit"] == 15


def test_docker_inspect_of_a_running_container_without_a_limit() -> None:
    assert facts("docker/inspect-cut.txt") == {
        "host.container_oom_killed": False,
        "host.cgroup_limit": ABSENT,
        "host.shm_size": 8 * GIB,
    }


def test_docker_stats_concludes_no_limit_of_the_host() -> None:
    assert facts("docker/stats.txt") == {}
    first, second = records("docker/stats.txt", "container")
    assert (first["name"], first["limit"]) == ("vllm", round(125.5 * GIB))
    assert (second["name"], second["used"], second["limit"]) == ("llama", round(15.98 * GIB), 16 * GIB)
    assert records("docker/stats-names.txt", "container") == [
        {"name": "mem-demo", "used": round(4.383 * MIB), "limit": 100 * MIB}
    ]


def test_macos_hardware() -> None:
    assert facts("apple/m3-max.txt") == {
        "host.cpu_model": "Apple M3 Max",
        "host.cpu_cores": 16,
        "host.ram_total": 64 * GIB,
    }
    assert facts("apple/intel.txt")["host.ram_total"] == 128 * GIB
    assert facts("apple/intel.txt")["host.cpu_sockets"] == 1


def test_an_unlisted_vulkan_device_is_a_problem() -> None:
    assert read_hardware("VULKANINFO\n==========\n\nno\n", "x").problems == [
        "vulkaninfo output at line 1: no device is listed"
    ]
