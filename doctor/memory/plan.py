"""The door of this package: facts in; ``memory.*`` facts, their arithmetic and the document's memory table out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from doctor.memory.derive import Derivation, derivations
from doctor.memory.places import Part, Place, Plan, make_plan
from doctor.memory.values import Records, Resolve
from doctor.vocabulary.facts import Fact, Origin

if TYPE_CHECKING:
    from doctor.vocabulary.document import MemoryEntry

__all__ = ["Assessment", "Derivation", "Part", "Place", "Plan", "assess", "derive", "entries", "make_plan"]

ORIGIN = Origin("computed")


@dataclass(slots=True)
class Assessment:
    """What is known of a run's memory.

    Attributes:
        derivations: the ``memory.*`` facts that could be computed, and how.
        problems: where the engine's figures and the arithmetic disagree.
    """

    plan: Plan
    derivations: list[Derivation]
    problems: list[str]

    @property
    def facts(self) -> list[Fact]:
        return [Fact(derivation.name, derivation.value, ORIGIN) for derivation in self.derivations]

    def entries(self, run: str | None = None) -> list[MemoryEntry]:
        """The document's ``memory`` table: a row a device, and one for the host."""
        return [_entry(place, run) for place in (*self.plan.devices, self.plan.host) if place.parts]


def assess(resolve: Resolve, records: Records, *, by_rank: bool = False) -> Assessment:
    """Everything about memory that the facts of one run allow to say.

    Args:
        resolve: fact name -> value, ABSENT or Unknown.
        records: collection name (``buffer``, ``device``, ``file``, ``numa_node``) -> elements.
    """
    plan = make_plan(resolve, records)
    disagreement = plan.disagreement
    return Assessment(plan, derivations(plan, by_rank=by_rank), [disagreement] if disagreement else [])


def derive(resolve: Resolve, records: Records, *, by_rank: bool = False) -> list[Derivation]:
    """The ``memory.*`` facts of one run, each with its expression and inputs. ``by_rank``: see ``derivations``."""
    return assess(resolve, records, by_rank=by_rank).derivations


def entries(resolve: Resolve, records: Records) -> list[MemoryEntry]:
    """The document's ``memory`` table of one run."""
    return assess(resolve, records).entries()


def _entry(place: Place, run: str | None) -> MemoryEntry:
    from doctor.vocabulary.document import MemoryEntry, MemoryPart

    parts = [
        MemoryPart(kind=part.kind, bytes=part.bytes, source="log" if part.source == "log" else "estimate")
        for part in place.parts
    ]
    return MemoryEntry(
        device=place.name, parts=parts, total=place.total, free=place.free, missing=place.missing, run=run
    )
