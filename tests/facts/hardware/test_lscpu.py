from __future__ import annotations

from .support import facts, records


def test_recorded() -> None:
    found = facts("cpu/lscpu.txt")
    assert found["host.cpu_model"] == "AMD EPYC"
    assert (found["host.cpu_sockets"], found["host.cpu_cores"], found["host.cpu_threads"]) == (1, 2, 2)
    assert found["host.numa_nodes"] == 1
    assert {"avx2", "f16c", "fsrm"} <= set(found["host.cpu_flags"])
    assert "avx512f" not in found["host.cpu_flags"]


def test_german() -> None:
    name = "cpu/lscpu-german.txt"
    found = facts(name)
    assert (found["host.cpu_sockets"], found["host.cpu_cores"], found["host.cpu_threads"]) == (1, 24, 48)
    assert found["host.cpu_model"] == "AMD EPYC 7443 24-Core Processor"
    assert found["host.numa_nodes"] == 2
    assert records(name, "numa_node")[1]["cpus"] == [*range(12, 24), *range(36, 48)]
    assert found["host.cpu_flags"] == ["fpu", "vme", "sse4_2", "avx", "avx2", "fma"]


def test_chinese_without_the_number_of_cpus_and_with_wrapped_flags() -> None:
    found = facts("cpu/lscpu-chinese.txt")
    assert (found["host.cpu_sockets"], found["host.cpu_cores"], found["host.cpu_threads"]) == (1, 4, 8)
    assert found["host.cpu_model"] == "13th Gen Intel(R) Core(TM) i7-13700H"
    flags = found["host.cpu_flags"]
    assert flags[11:14] == ["mtrr", "pge", "mca"]  # a blank at the fold
    assert flags[-2:] == ["avx512f", "avx512dq"]  # a word cut by the fold


def test_french() -> None:
    name = "cpu/lscpu-french.txt"
    found = facts(name)
    assert (found["host.cpu_sockets"], found["host.cpu_cores"], found["host.cpu_threads"]) == (2, 16, 32)
    assert [node["index"] for node in records(name, "numa_node")] == [0, 1]


def test_flags_of_a_recorded_guest_wrapped_at_eighty_columns() -> None:
    flags = facts("numa/two-nodes-recorded.txt")["host.cpu_flags"]
    assert " ".join(flags[10:25]) == "mtrr pge mca cmov pat pse36 clflush acpi mmx fxsr sse sse2 ss ht syscall"
    assert flags[-3:] == ["ospke", "vaes", "la57"]
    assert len(flags) == 81


def test_cpuinfo_tells_cores_from_threads() -> None:
    assert facts("cpu/cpuinfo.txt") == {
        "host.cpu_model": "AMD Ryzen 9 5950X 16-Core Processor",
        "host.cpu_flags": ["fpu", "sse4_2", "avx", "avx2", "f16c", "fma"],
        "host.cpu_threads": 4,
        "host.cpu_cores": 2,
        "host.cpu_sockets": 1,
    }
