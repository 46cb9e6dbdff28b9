from __future__ import annotations

from typing import Any

import pytest

from doctor.memory.host import binding_limit, host_limits
from doctor.memory.model import HyperParameters
from doctor.memory.places import Part, Place, Plan

from .support import GIB, MIB, values


def plan(facts: dict[str, Any], *parts: Part) -> Plan:
    return Plan(values(facts), HyperParameters(), None, [], Place("host", list(parts), reserve=64 * MIB))


KV = Part("kv", 8 * GIB, "log")
MAPPED = Part("mapped weights", 4 * GIB, "log")


def test_mapped_weights_count_against_the_address_space_only() -> None:
    found = plan(
        {"host.cgroup_limit": 10 * GIB, "host.address_space_limit": 10 * GIB, "host.ram_total": 10 * GIB}, KV, MAPPED
    )
    assert {limit.kind: limit.missing for limit in host_limits(found)} == {
        "container memory limit": 0,
        "RAM": 0,
        "address space limit": 2 * GIB,
    }


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({"host.cgroup_limit": 2 * GIB, "host.ram_available": 16 * GIB}, "container memory limit"),
        ({"host.cgroup_limit": 32 * GIB, "host.ram_available": 16 * GIB}, "RAM"),
        ({"host.ram_total": 16 * GIB, "host.address_space_limit": 9 * GIB}, "address space limit"),
        ({"host.ram_total": 16 * GIB, "host.address_space_limit": -1}, "RAM"),
    ],
)
def test_the_limit_that_binds(facts: dict[str, Any], kind: str) -> None:
    limit = binding_limit(plan(facts, KV, MAPPED))
    assert limit is not None and limit.kind == kind


def test_what_is_available_counts_before_what_is_there() -> None:
    limit = binding_limit(plan({"host.ram_total": 64 * GIB, "host.ram_available": 6 * GIB}, KV))
    assert limit is not None and limit.fact == "host.ram_available" and limit.missing == 2 * GIB


def test_what_a_working_run_left_is_not_what_it_had() -> None:
    facts = {"host.ram_total": 64 * GIB, "host.ram_available": 6 * GIB, "speed.generation": 12.5}
    limit = binding_limit(plan(facts, KV))
    assert limit is not None and limit.fact == "host.ram_total" and limit.missing == 0


def test_no_limit_is_known() -> None:
    assert binding_limit(plan({}, KV)) is None
