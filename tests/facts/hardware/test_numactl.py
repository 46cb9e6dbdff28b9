from __future__ import annotations

from doctor.facts.hardware import read_hardware

from .support import MIB, facts, reading, records


def test_two_nodes_of_a_terabyte_machine() -> None:
    name = "numa/epyc-two-nodes.txt"
    assert facts(name) == {"host.numa_nodes": 2}  # the nodes' sizes say nothing about the RAM
    first, second = records(name, "numa_node")
    assert (first["index"], first["size"], first["free"]) == (0, 515866 * MIB, 501202 * MIB)
    assert (second["index"], second["size"], second["free"]) == (1, 516063 * MIB, 509871 * MIB)
    assert len(first["cpus"]) == len(second["cpus"]) == 128
    assert first["cpus"][-1] == 191
    assert reading(name).problems == []


def test_nodes_without_cpus_and_without_numa() -> None:
    nodes = records("numa/memory-only-nodes.txt", "numa_node")
    assert [len(node["cpus"]) for node in nodes] == [4, 4, 0, 0]
    assert nodes[2]["size"] == 16384 * MIB
    assert facts("numa/none.txt") == {"host.numa_nodes": 1}


def test_a_recorded_session_with_six_outputs() -> None:
    name = "numa/two-nodes-recorded.txt"
    found = facts(name)
    assert (found["host.numa_policy"], found["host.numa_membind"]) == ("default", [0, 1])
    assert (found["host.cpu_sockets"], found["host.cpu_cores"], found["host.cpu_threads"]) == (2, 4, 4)
    assert found["host.numa_balancing"] is True
    assert found["host.kernel"] == "6.1.0-56-cloud-amd64"
    # numactl says 974 MB, the node's meminfo exactly 998076 kB, further down and therefore winning
    assert [node["size"] for node in records(name, "numa_node")] == [998076 * 1024, 1030356 * 1024]
    assert [node["cpus"] for node in records(name, "numa_node")] == [[0, 1], [2, 3]]


def test_a_cut_off_list_of_nodes_is_a_problem() -> None:
    text = "available: 2 nodes (0-1)\nnode 0 cpus: 0 1\nnode 0 size: 974 MB\nnode 0 fr"
    found = read_hardware(text, "x")
    assert found.records[0].fields == {"index": 0, "cpus": [0, 1], "size": 974 * MIB}
    assert found.problems == ["numactl output at line 3: 2 nodes are announced, 1 are described"]
