"""What files declare: programs that are started, their command lines, variables and limits, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from doctor.facts.config.env import EnvFile, EnvValue
from doctor.facts.config.places import Locate, Place, Word
from doctor.facts.config.values import is_secret, masked
from doctor.units import parse_size
from doctor.vocabulary.facts import Fact, Layer, Origin

if TYPE_CHECKING:
    from doctor.facts.config.argv import Command
    from doctor.facts.config.yamltext import Mapping

EntryForm = Literal["line", "pair", "item", "entry", "unit", "shell", "word", "plist"]
"""How a variable is written: ``NAME=value`` on a line of an environment file, ``NAME: value`` or ``- NAME=value`` in
YAML, ``- name: ... value: ...`` of Kubernetes, in ``Environment=`` of a unit, an assignment of a script, a word, a key
and a string of a property list."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What could not be read, where, why, and what to do."""

    path: str
    line: int
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a workload. ``value`` is not masked; ``entry`` is what to take out to unset it."""

    name: str
    value: str
    path: str
    line: int
    form: EntryForm
    place: Place | None = None
    entry: Place | None = None
    inside: Locate | None = field(default=None, compare=False, repr=False)


@dataclass(slots=True)
class Workload:
    """One program as a file declares that it is started: a container, a unit, or a command of a script.

    Attributes:
        kind: of its file.
        name: as the reader of the file knows it: ``service vllm``, ``Deployment llm, container vllm``.
        path, line: where it begins.
        names: what its lines may carry in a log, or a log's file be called: the service, the container.
        words: the command line, with what the image puts in front.
        declared: whether the file gives any of those words.
        variables: weakest first; they may stand in other files.
        facts: limits and requests, of the layer ``file``.
        node: the mapping that declares it, where new keys go; ``pod``: of a container, that of its pod.
        places: of values that a remedy may resize: ``memory``, ``shm``.
        user: whom it runs as, where a unit says it.
        mounts: folders of the host and what they are called inside.
    """

    kind: Literal["compose", "kubernetes", "systemd", "launchd", "llama-swap", "presets", "script", "modelfile", "env"]
    name: str
    path: str
    line: int
    names: tuple[str, ...] = ()
    image: str = ""
    words: list[Word] = field(default_factory=list)
    declared: bool = False
    variables: list[Variable] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    node: Mapping | None = None
    pod: Mapping | None = None
    places: dict[str, Place] = field(default_factory=dict)
    user: str = ""
    mounts: list[tuple[str, str]] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        return [word.text for word in self.words]

    def command(self) -> Command | None:
        """The command line; its variables are those that stand on it."""
        return _command(tuple(self.texts)) if self.words else None

    def command_at(self) -> Origin:
        """Where the first word of the command line stands that this file gives."""
        place = next((word.place for word in self.words if word.place and word.place.path == self.path), None)
        return Origin(self.path, place.line if place else self.line, Layer.FILE)

    def limit(self, name: str, value: object, place: Place) -> None:
        self.facts.append(Fact(name, value, Origin(place.path, place.line, Layer.FILE)))


@lru_cache(maxsize=64)
def _command(words: tuple[str, ...]) -> Command | None:
    """Kept for a while: each remedy that is tried asks for the command line several times, before and after it."""
    from doctor.facts.config.argv import command_of

    return command_of(words)


def environment(variables: Iterable[Variable]) -> list[EnvFile]:
    """Variables as environment files, weakest first; secrets are masked."""
    files: list[EnvFile] = []
    for variable in variables:
        if not files or files[-1].path != variable.path:
            files.append(EnvFile(variable.path))
        values = files[-1].values
        values.pop(variable.name, None)
        values[variable.name] = EnvValue(variable.name, masked(variable.name, variable.value), variable.line)
    return files


def lookup_in(variables: Iterable[Variable]) -> dict[str, Word]:
    """The variables by name for substitution; a secret is left as the reference that it is written as."""
    return {item.name: Word(item.value, item.place, item.inside) for item in variables if not is_secret(item.name)}


_QUANTITY = re.compile(r"(?P<number>\d+(?:\.\d+)?(?:e\d{1,2})?)(?P<unit>[numkKMGTPE]?i?)")
_DECIMAL = {"": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}


def container_size(text: str) -> int | None:
    """``"2gb"``, ``"512m"`` as docker and compose read sizes: always powers of 1024 (docker/go-units, RAMInBytes)."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    try:
        return parse_size(f"{found[1]}{found[2]}") if found else None
    except ValueError:
        return None


def quantity(text: str) -> float | None:
    """``"16Gi"``, ``"4G"``, ``"1500m"`` as Kubernetes reads quantities."""
    found = _QUANTITY.fullmatch(text.strip())
    if not found:
        return None
    unit = found["unit"]
    if unit.endswith("i"):
        power = "KMGTPE".find(unit[0]) + 1
        return float(found["number"]) * 1024.0**power if power and len(unit) == 2 else None
    return float(found["number"]) * _DECIMAL[unit] if unit in _DECIMAL else None
