"""What is known of a model before it runs: the facts that a log would give, and the tensors that a header lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from doctor.vocabulary.facts import Fact, Origin, Record, Unknown


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor as a header lists it.

    Attributes:
        type: ggml's name, lower case: ``q4_k``.
        shape: as GGUF has it, the row's length first.
        bytes: of its data, without padding; ``offset``: where it begins among the data of its file.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    bytes: int
    offset: int = 0

    @property
    def elements(self) -> int:
        count = 1
        for size in self.shape:
            count *= size
        return count


@dataclass(slots=True)
class Model:
    """A model at hand.

    Attributes:
        path: what the user named.
        source: ``gguf``, ``huggingface`` or ``numbers``.
        facts: ``model.*`` by catalogue name; a key that the catalogue does not have is not here.
        tensors: empty where no header lists them.
        files: path and bytes of each file that holds weights; bytes as they are on disk.
        problems: what is wrong with the files, in words: a split that is missing, a file that is cut short.
    """

    path: str
    source: str
    facts: dict[str, Any] = field(default_factory=dict)
    tensors: tuple[Tensor, ...] = ()
    files: tuple[tuple[str, int], ...] = ()
    problems: list[str] = field(default_factory=list)

    @property
    def weights(self) -> int | None:
        """Bytes of all weights: exact from tensors, else what the facts say."""
        if self.tensors:
            return sum(tensor.bytes for tensor in self.tensors)
        size = self.facts.get("model.file_size")
        return int(size) if size else None

    @property
    def bytes_by_type(self) -> dict[str, int]:
        """Bytes of the weights by ggml type, largest first."""
        found: dict[str, int] = {}
        for tensor in self.tensors:
            found[tensor.type] = found.get(tensor.type, 0) + tensor.bytes
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def as_facts(self) -> list[Fact]:
        origin = Origin(self.path)
        return [Fact(name, value, origin) for name, value in self.facts.items()]

    def as_records(self) -> list[Record]:
        """The files, as a listing of the folder would give them."""
        return [Record("file", {"path": path, "bytes": size}, Origin(self.path)) for path, size in self.files]

    @property
    def resolve(self) -> Callable[[str], Any]:
        """For ``doctor.memory``: fact name -> value."""
        return lambda name: self.facts.get(name, Unknown(frozenset({name})))
