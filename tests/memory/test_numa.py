from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.memory.numa import Replication, copies, numa_nodes, smallest_node

from .support import GB, GIB, figures, files, nodes, run, values

TWO_SOCKETS = {
    "engine.name": "ktransformers",
    "env.USE_NUMA": "1",
    "host.numa_nodes": 2,
    "host.ram_total": 1000 * GB,
    "host.swap_total": 8 * GB,
}
DEEPSEEK = files(*[(f"/srv/llm/V3-Q8_0/DeepSeek-V3-Q8_0-{n:05}-of-00023.gguf", 31 * GB) for n in range(1, 24)])


def test_one_copy_a_node() -> None:
    found = run(TWO_SOCKETS, file=DEEPSEEK, numa_node=nodes(500 * GB, 500 * GB))
    known = figures(found)
    assert known["weights"] == 713 * GB
    assert known["numa_copies"] == 2
    assert known["numa_need"] == 1426 * GB
    assert known["numa_missing"] == 426 * GB
    assert known["numa_swap_needed"] == 418 * GB
    assert known["numa_ram_needed"] == 1536 * GIB
    assert round(known["quant_4bit_size"] / GB) == 411
    assert known["numa_need_4bit"] == 2 * known["quant_4bit_size"] < 1000 * GB
    assert known["numa_quant_that_fits"] == "Q4_K_M"
    assert known["numa_node_missing"] == 213 * GB
    need = next(d for d in found.derivations if d.name == "memory.numa_need")
    assert need.inputs == {"copies": 2, "weights": 713 * GB} and need.unit == "bytes"


def test_four_nodes_take_four_copies() -> None:
    known = figures(run({**TWO_SOCKETS, "host.numa_nodes": 4}, file=DEEPSEEK))
    assert known["numa_copies"] == 4
    assert known["numa_need"] == 4 * 713 * GB


def test_the_memory_table_counts_every_copy() -> None:
    found = run(TWO_SOCKETS, file=DEEPSEEK)
    (host,) = found.entries()
    assert host.device == "host" and sum(part.bytes for part in host.parts) == 1426 * GB
    assert found.plan.host.part("mapped weights") == 0


@pytest.mark.parametrize(
    "facts",
    [
        {**TWO_SOCKETS, "env.USE_NUMA": "0"},
        {**TWO_SOCKETS, "engine.name": "llama.cpp"},
        {**TWO_SOCKETS, "host.numa_nodes": 1},
        {key: value for key, value in TWO_SOCKETS.items() if key != "env.USE_NUMA"},
        {key: value for key, value in TWO_SOCKETS.items() if key != "host.numa_nodes"},
    ],
)
def test_no_copies_are_claimed_without_reason(facts: dict[str, Any]) -> None:
    assert not [name for name in figures(run(facts, file=DEEPSEEK)) if name.startswith("numa_") and "node" not in name]


def test_the_setting_is_as_good_as_the_variable() -> None:
    assert copies(values({"setting.use_numa": True, "host.numa_nodes": 2})) == 2
    assert copies(values({"setting.use_numa": False, "env.USE_NUMA": "1", "host.numa_nodes": 2})) is None


def test_nodes_are_counted_when_nobody_says_how_many() -> None:
    listed = values({}, numa_node=nodes(4 * GIB, 2 * GIB, 0))
    assert numa_nodes(listed) == 3
    assert smallest_node(listed) == 2 * GIB  # a node without memory holds nothing and needs nothing
    assert numa_nodes(values({})) is None and smallest_node(values({})) is None


@given(st.integers(2, 8), st.integers(1, 10**13), st.integers(0, 10**13), st.integers(0, 10**12))
def test_what_is_missing(count: int, weights: int, ram: int, swap: int) -> None:
    found = Replication(count, weights, ram, swap)
    assert found.missing is not None and found.swap_needed is not None
    assert found.missing >= found.swap_needed >= 0
    assert found.need <= ram + found.missing
    assert found.need < found.ram_needed <= found.need * 1.02 + 256 * GIB + 1
