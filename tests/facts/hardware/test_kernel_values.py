from __future__ import annotations

from doctor.facts.hardware import read_hardware
from doctor.vocabulary.facts import ABSENT

from .support import GIB, facts, lines, reading


def test_sysctl() -> None:
    assert facts("kernel/sysctl.txt") == {
        "host.overcommit_memory": 2,
        "host.overcommit_ratio": 50,
        "host.max_map_count": 65530,
        "host.numa_balancing": False,
    }
    assert facts("kernel/macos.txt") == {"host.wired_limit": 56 * GIB, "host.ram_total": 64 * GIB}
    unset = read_hardware("iogpu.wired_limit_mb: 0\n", "x").facts
    assert [fact.value for fact in unset] == [ABSENT]


def test_cgroup_v1_behind_its_commands() -> None:
    found = [(fact.name, fact.value, fact.origin.line) for fact in reading("kernel/cgroup-v1.txt").facts]
    assert found == [
        ("host.cgroup_limit", 32 * GIB, 2),
        ("host.cgroup_usage", 32 * GIB - 8192, 4),
        ("host.cgroup_peak", 32 * GIB, 6),
        ("host.cgroup_oom_kills", 2, 10),
        ("host.cgroup_limit", ABSENT, 12),
    ]


def test_cgroup_v2() -> None:
    name = "kernel/cgroup-v2.txt"
    assert facts(name) == {
        "host.cgroup_limit": 16 * GIB,
        "host.cgroup_usage": 17179004928,
        "host.cgroup_swap_limit": ABSENT,
        "host.cgroup_peak": 16 * GIB,
        "host.cgroup_oom_kills": 3,
    }
    assert lines(name)["host.cgroup_oom_kills"] == 10


def test_files_saved_under_their_own_names() -> None:
    assert facts("kernel/saved/memory.max") == {"host.cgroup_limit": 8 * GIB}
    assert facts("kernel/saved/memory.events") == {"host.cgroup_oom_kills": 1}
    assert read_hardware("max\n", "x/memory.max").facts[0].value is ABSENT
    assert read_hardware("8589934592\n", "x/notes.txt").facts == []


def test_the_cpus_of_a_cgroup() -> None:
    def cpus(content: str) -> list[object]:
        reading = read_hardware(f"$ cat /sys/fs/cgroup/cpu.max\n{content}\n", "x.log")
        return [fact.value for fact in reading.facts if fact.name == "host.cgroup_cpus"]

    assert cpus("700000 100000") == [7.0]
    assert cpus("max 100000") == [ABSENT]
    assert cpus("700000 0") == cpus("700000") == cpus(f"1 {'9' * 5000}") == []
