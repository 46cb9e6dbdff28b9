"""The diagnosis document: the contract of ``--format json``. Fields are added, never renamed."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from doctor.vocabulary.terms import Outcome, Severity

Verdict = Literal["failing", "degraded", "healthy", "at_risk", "clear", "unknown"]
Role = Literal["root_cause", "contributing", "symptom", "advice", "risk"]
Confidence = Literal["high", "medium", "low"]


class SourceEntry(BaseModel):
    path: str
    kind: Literal["log", "env", "config", "hardware"] = "log"
    node: str = "local"
    bytes: int = 0
    lines: int = 0
    sampled: bool = False


class EngineEntry(BaseModel):
    name: str | None = None
    version: str | None = None
    product: str | None = None
    lineage: list[str] = Field(default_factory=list)


class Event(BaseModel):
    line: int
    what: str
    text: str


class RunEntry(BaseModel):
    id: str
    node: str = "local"
    parent: str | None = None
    incident: str | None = None
    engine: EngineEntry
    outcome: Outcome
    source: str
    first_line: int
    last_line: int
    facts: dict[str, Any] = Field(default_factory=dict)
    events: list[Event] = Field(default_factory=list)


class SettingEntry(BaseModel):
    name: str
    declared: Any = None
    effective: Any = None
    origin: str
    run: str | None = None


class MemoryPart(BaseModel):
    kind: str
    bytes: int
    source: Literal["log", "estimate"]


class MemoryEntry(BaseModel):
    device: str
    parts: list[MemoryPart] = Field(default_factory=list)
    total: int | None = None
    free: int | None = None
    missing: int | None = None
    run: str | None = None


class EvidenceLine(BaseModel):
    path: str
    line: int
    text: str
    before: list[str] = Field(default_factory=list)
    after: list[str] = Field(default_factory=list)
    captures: dict[str, Any] = Field(default_factory=dict)
    signature: str | None = None


class Computed(BaseModel):
    name: str
    value: Any
    unit: str = ""
    expression: str = ""
    inputs: dict[str, Any] = Field(default_factory=dict)


class ActionEntry(BaseModel, extra="allow"):
    kind: str
    text: str


class RemedyEntry(BaseModel):
    id: str
    title: str
    removes: str
    safety: str
    cost: str | None = None
    undo: str | None = None
    actions: list[ActionEntry] = Field(default_factory=list)
    diff: str | None = None
    raises: list[str] = Field(default_factory=list)
    confirmation: dict[str, Any] | None = None


class ReferenceEntry(BaseModel):
    url: str
    kind: str
    note: str | None = None


class Finding(BaseModel):
    id: str
    rule_id: str
    family: str
    role: Role
    runs: list[str] = Field(default_factory=list)
    incident: str | None = None
    explains: list[str] = Field(default_factory=list)
    severity: Severity
    confidence: Confidence
    title: str
    summary: str = ""
    explanation: str = ""
    evidence: list[EvidenceLine] = Field(default_factory=list)
    count: int = 1
    computed: list[Computed] = Field(default_factory=list)
    missing_facts: list[str] = Field(default_factory=list)
    remedies: list[RemedyEntry] = Field(default_factory=list)
    collect: list[str] = Field(default_factory=list)
    references: list[ReferenceEntry] = Field(default_factory=list)
    known_by: str = ""


class HistoryEntry(BaseModel):
    rule_id: str
    title: str
    count: int
    runs: list[str]
    first: str
    last: str


class NotJudged(BaseModel):
    missing: str
    rules: list[str]
    hint: str


class Unexplained(BaseModel):
    path: str
    line: int
    text: str
    count: int = 1


class Problem(BaseModel):
    stage: str
    subject: str
    message: str
    hint: str = ""


class Diagnosis(BaseModel):
    schema_: str = Field(default="llmdoctor/diagnosis/1", alias="schema")
    llmdoctor: str
    verdict: Verdict
    summary: str = ""
    sources: list[SourceEntry] = Field(default_factory=list)
    runs: list[RunEntry] = Field(default_factory=list)
    settings: list[SettingEntry] = Field(default_factory=list)
    memory: list[MemoryEntry] = Field(default_factory=list)
    findings: list[Finding] = Field(default_factory=list)
    history: list[HistoryEntry] = Field(default_factory=list)
    could_not_judge: list[NotJudged] = Field(default_factory=list)
    unexplained: list[Unexplained] = Field(default_factory=list)
    problems: list[Problem] = Field(default_factory=list)

    model_config = {"populate_by_name": True}
