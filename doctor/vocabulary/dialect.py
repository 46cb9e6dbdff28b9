"""Dialects as data: how one engine's log speaks. One YAML file an engine under ``rules/dialects/``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from doctor.vocabulary.rule import CaptureType, Strict
from doctor.vocabulary.terms import Outcome


class Line(Strict):
    """A pattern over one line, with named captures. A bare string is a pattern."""

    pattern: str
    captures: dict[str, CaptureType] = Field(default_factory=dict)
    ignore_case: bool = False
    dense: bool = Field(default=False, description="sampled on big inputs: a line a request, say")

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: Any) -> Any:
        return {"pattern": value} if isinstance(value, str) else value


class Recognise(Line):
    """This line shows that the engine speaks. A capture named `version` gives its version, `commit` the commit."""

    certain: bool = Field(default=True, description="false: a forked or wrapping engine prints it too")


class Start(Line):
    """A run begins here."""

    weak: bool = Field(default=False, description="begins a run only after the one before has ended, or none is open")
    product: str | None = Field(default=None, description="the part that starts, e.g. llama-server, rpc-server")


class Marker(Line):
    """A sign of how the run goes."""

    means: Literal["ready", "progress", "loading", "stopping", "ended"]
    outcome: Outcome | None = Field(default=None, description="with `ended`: how it ended")


class FactLine(Line):
    """Facts that a line gives.

    `set` maps fact names to a capture's name (or to a constant, written as `=constant`). `record` adds an element to
    a collection; its `fields` are mapped in the same way, and `key` names the fields that identify an element (a later
    line with the same key replaces it).
    """

    set: dict[str, str] = Field(default_factory=dict)
    record: str | None = None
    fields: dict[str, str] = Field(default_factory=dict)
    key: list[str] = Field(default_factory=list)
    once: Literal["first", "last"] = Field(default="last", description="which line wins within a run")


class Instead(Strict):
    """The flag that took another one's place, in builds that print a setting which the others don't have."""

    where: str = Field(description="the setting that such builds print")
    flag: str
    set_flag: str = Field(description="its value where the old flag would be set")
    remove_flag: str = Field(description="and where the old flag would be taken out")


class Option(Strict):
    """A flag (and its environment variable) and the canonical setting it stands for."""

    setting: str
    flags: list[str] = Field(default_factory=list)
    env: list[str] = Field(default_factory=list)
    type: Literal["str", "int", "float", "bool", "size", "MiB", "GiB", "list", "switch_on", "switch_off"] = "str"
    default: Any = Field(default=None, description="the engine's default; null: none, or depends")
    since: str | None = None
    until: str | None = None
    instead: Instead | None = None


class Dialect(Strict):
    engine: str
    title: str
    kind: Literal["engine", "wrapper", "kernel", "host"] = "engine"
    lineage: list[str] = Field(default_factory=list, description="engines that this one is built on, nearest first")
    recognise: list[Recognise] = Field(default_factory=list)
    starts: list[Start] = Field(default_factory=list)
    markers: list[Marker] = Field(default_factory=list)
    procs: list[str] = Field(default_factory=list, description="patterns whose capture `proc` names the process")
    facts: list[FactLine] = Field(default_factory=list)
    options: list[Option] = Field(default_factory=list)
    programs: list[str] = Field(default_factory=list, description="names of its executables on a command line")
    harmless: list[Line] = Field(default_factory=list, description="error-looking lines that mean nothing")
    errors: list[Line] = Field(default_factory=list, description="how the engine marks an error line")
    samples: dict[str, list[str]] = Field(
        default_factory=dict, description="sample lines by version; each must match something above"
    )
    sources: list[str] = Field(default_factory=list)
