"""The facts of one scope (a run, a node), layered: what the engine echoed wins over what was declared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from doctor.vocabulary.facts import ABSENT, Fact, Layer, Origin, Record

_RANK = {layer: rank for rank, layer in enumerate(Layer)}


@dataclass(slots=True)
class FactSet:
    """Scalars by name with every layer kept, collections by kind.

    ``absent`` names settings that are known not to be given (their flag isn't on the command line, no default).
    ``parent`` is asked for what is not here: a run's wrapper, then its node.
    ``computing`` adds the ``memory.*`` facts, once the first of them is asked for: a log of hundreds of restarts needs
    them of a few.
    """

    parents: list[FactSet] = field(default_factory=list)
    scalars: dict[str, list[Fact]] = field(default_factory=dict)
    records: dict[str, list[Record]] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    computing: Callable[[], object] | None = None

    def compute(self) -> None:
        """Adds what can be computed, if that is still to do."""
        computing, self.computing = self.computing, None
        if computing is not None:
            computing()

    def add(self, fact: Fact, *, first_wins: bool = False) -> None:
        """Keeps ``fact``. The later of one layer wins unless ``first_wins``; ABSENT counts until a value comes."""
        if fact.value is ABSENT:
            if fact.name not in self.scalars:
                self.absent.add(fact.name)
            return
        self.absent.discard(fact.name)
        layers = self.scalars.setdefault(fact.name, [])
        same = next((index for index, known in enumerate(layers) if known.origin.layer == fact.origin.layer), None)
        if same is None:
            layers.append(fact)
            layers.sort(key=lambda known: _RANK[known.origin.layer])
        elif not first_wins:
            layers[same] = fact

    def add_record(self, record: Record, key: Iterable[str] = ()) -> None:
        """Keeps ``record``; one with the same ``key`` fields is completed by it (its values win)."""
        known = self.records.setdefault(record.kind, [])
        names = list(key)
        if names:
            for other in known:
                if all(other.get(name) == record.get(name) for name in names):
                    other.fields.update({k: v for k, v in record.fields.items() if v is not None})
                    return
        known.append(record)

    def fact(self, name: str) -> Fact | None:
        """The winning value of ``name``, here or in a parent."""
        if self.computing is not None and name.startswith("memory."):
            self.compute()
        layers = self.scalars.get(name)
        if layers:
            return layers[-1]
        if name in self.absent:
            return None
        for parent in self.parents:
            if (found := parent.fact(name)) is not None:
                return found
        return None

    def is_absent(self, name: str) -> bool:
        if name in self.absent:
            return True
        for parent in self.parents:  # noqa: SIM110 - a check asks tens of thousands of times
            if parent.is_absent(name):
                return True
        return False

    def layers(self, name: str) -> list[Fact]:
        """All values of ``name`` here, weakest layer first."""
        return self.scalars.get(name, [])

    def value(self, name: str) -> Any:
        """The winning value, ABSENT when known not to be there, None when unknown."""
        found = self.fact(name)
        if found is not None:
            return found.value
        return ABSENT if self.is_absent(name) else None

    def collection(self, kind: str) -> list[Record] | None:
        """The elements of ``kind``, None when nothing supplied any."""
        found = self.records.get(kind)
        if found:
            return found
        for parent in self.parents:
            if (above := parent.collection(kind)) is not None:
                return above
        return None

    def names(self) -> Iterator[str]:
        """Scalars of this scope alone."""
        yield from self.scalars

    def all_names(self) -> Iterator[str]:
        """Scalars of this scope and its parents."""
        yield from self.scalars
        for parent in self.parents:
            yield from parent.all_names()

    def put(self, name: str, value: Any, path: str, line: int | None = None, layer: Layer = Layer.EFFECTIVE) -> None:
        self.add(Fact(name, value, Origin(path, line, layer)))
