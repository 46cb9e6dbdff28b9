"""The probe document: what was asked of a machine and what it said, as text. Fields are added, never renamed.

Plain dataclasses, as the diagnosis document has them; ``json_schema()`` is published by ``llmdoctor probe --schema``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

SCHEMA = "llmdoctor/probe/1"


class Status(StrEnum):
    """How a question ended. Only *absent* says that something is not there."""

    OK = "ok"
    ABSENT = "absent"
    NOT_PERMITTED = "not_permitted"
    TIMED_OUT = "timed_out"
    FAILED = "failed"


@dataclass(slots=True, kw_only=True)
class Answer:
    """One question and what came back.

    Attributes:
        name: the question's name, unique in a document; what its output is called as a source.
        asked: the command line, the files or the address, as a person would type them.
        status: see ``Status``.
        reason: why it is not ``ok``, in the tool's own words where it said some.
        seconds: how long it took.
        exit: exit status of a command.
        cut: the output was longer than what is kept.
        output: what came back; may be partial.
    """

    name: str
    asked: str
    status: Status
    reason: str = ""
    seconds: float = 0.0
    exit: int | None = None
    cut: bool = False
    output: str = ""


@dataclass(slots=True, kw_only=True)
class Probe:
    """A machine at one moment.

    Attributes:
        taken: UTC, ISO 8601.
        host: its name, by which the logs and probes of several machines are told apart.
        seconds: what asking cost.
        answers: in the order of asking.
        facts: by catalogue name; sizes in bytes or as ``"64GiB"``. Read out of the answers, for programs. A person may
            write them by hand, with no answers at all, for a machine that is planned.
        records: by catalogue kind (``device``, ``numa_node``, ``disk``, ...), each a list of fields.
    """

    schema: str = SCHEMA
    llmdoctor: str = ""
    taken: str = ""
    host: str = ""
    seconds: float = 0.0
    answers: list[Answer] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON data, in the order of the fields."""
        return asdict(self)

    def answer(self, name: str) -> Answer | None:
        """The answer of that name."""
        return next((answer for answer in self.answers if answer.name == name), None)


def json_schema() -> dict[str, Any]:
    """The published JSON Schema. ``schema`` is what a file must have; all else may be left out by hand."""
    from pydantic import TypeAdapter

    schema = TypeAdapter(Probe).json_schema()
    schema["required"] = ["schema"]
    schema["properties"]["schema"]["const"] = SCHEMA
    schema["$id"] = SCHEMA
    return schema
