"""Copies of the weights, one a NUMA node, as ktransformers keeps them.

Source: with ``USE_NUMA`` compiled in, ``MOE::MOE`` allocates gate, up and down of every expert on each of
``numa_num_configured_nodes()`` nodes and copies them there (ktransformers_ext/operators/llamafile/moe.cpp, commit
e55493cf). Its tutorial says the same and gives 382 GB for one socket against 1 TB for two
(doc/en/DeepseekR1_V3_tutorial.md); a maintainer confirms that four nodes, as sub-NUMA clustering makes of two sockets,
take four copies (issue 1147). Only the experts are copied, which are nearly all of such a model (97 % of DeepSeek-V3).
"""

from __future__ import annotations

from dataclasses import dataclass

from doctor.memory.values import Values, integer
from doctor.units import GIB

RAM_STEP = 256 * GIB
"""Server memory is bought in steps like this one."""
MAX_NODES = 1024


@dataclass(frozen=True, slots=True)
class Replication:
    """One copy of the weights on each node.

    Attributes:
        copies: NUMA nodes.
        weights: bytes of one copy.
        ram, swap: the host's memory in bytes, None if not known.
    """

    copies: int
    weights: int
    ram: int | None = None
    swap: int | None = None

    @property
    def need(self) -> int:
        return self.copies * self.weights

    @property
    def missing(self) -> int | None:
        """What the host's RAM lacks, 0 if it is enough."""
        return None if self.ram is None else max(self.need - self.ram, 0)

    @property
    def swap_needed(self) -> int | None:
        """More swap that would make up for it; the swap that is there counts."""
        return None if self.missing is None else max(self.missing - (self.swap or 0), 0)

    @property
    def ram_needed(self) -> int:
        """The next size of RAM that one buys: a multiple of 256 GiB with 2 % to spare for the system."""
        return -(-round(self.need * 1.02) // RAM_STEP) * RAM_STEP


def numa_nodes(values: Values) -> int | None:
    """Number of NUMA nodes, as told or counted."""
    nodes = values.integer("host.numa_nodes") or len(values.all("numa_node")) or None
    return nodes if nodes and nodes <= MAX_NODES else None


def copies(values: Values) -> int | None:
    """Copies of the weights that the engine keeps; None if it makes none, or if that is not known."""
    engine = (values.text("engine.name") or "").lower()
    wanted = values.flag("setting.use_numa")
    if wanted is None:
        wanted = values.flag("env.USE_NUMA")
    if not wanted or (engine and "ktransformers" not in engine):
        return None
    return numa_nodes(values)


def smallest_node(values: Values) -> int | None:
    """Bytes of the smallest node that has memory."""
    sizes = [size for record in values.all("numa_node") if (size := integer(record.get("size")))]
    return min(sizes, default=None)
