"""Which limit host memory runs into: RAM, a cgroup's limit, or the address space that the process may use."""

from __future__ import annotations

from dataclasses import dataclass

from doctor.memory.places import Plan, worked
from doctor.units import MIB

ADDRESS_SPACE_RESERVE = 512 * MIB
"""Code, libraries and thread stacks of an engine process: they count in its address space (RLIMIT_AS)."""


@dataclass(frozen=True, slots=True)
class HostLimit:
    """A limit on host memory.

    Attributes:
        kind: ``RAM``, ``container memory limit`` or ``address space limit``.
        fact: the fact that gives it.
        bytes: the limit; for RAM what was available, unless that was asked while the run held its memory.
        need: what the run needs that counts against it.
        reserve: what to leave of it.
    """

    kind: str
    fact: str
    bytes: int
    need: int
    reserve: int

    @property
    def missing(self) -> int:
        return max(self.need - self.bytes, 0)

    @property
    def budget(self) -> int:
        return max(self.bytes - self.reserve, 0)


def host_limits(plan: Plan) -> list[HostLimit]:
    """All limits that are known. Mapped weights count against the address space only: elsewhere they can be dropped."""
    values, need, reserve = plan.values, plan.host.need, plan.host.reserve
    found = []
    if (limit := values.integer("host.cgroup_limit")) is not None:
        found.append(HostLimit("container memory limit", "host.cgroup_limit", limit, need, reserve))
    before = values.integer("host.ram_available") is not None and not worked(values)
    ram = "host.ram_available" if before else "host.ram_total"
    if (limit := values.integer(ram)) is not None:
        found.append(HostLimit("RAM", ram, limit, need, reserve))
    if limit := values.integer("host.address_space_limit"):
        mapped = plan.host.part("mapped weights")
        found.append(
            HostLimit("address space limit", "host.address_space_limit", limit, need + mapped, ADDRESS_SPACE_RESERVE)
        )
    return found


def binding_limit(plan: Plan) -> HostLimit | None:
    """The limit that is exceeded most, or that leaves least."""
    limits = host_limits(plan)
    return min(limits, key=lambda limit: limit.bytes - limit.need) if limits else None
