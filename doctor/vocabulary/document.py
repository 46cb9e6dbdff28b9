"""The diagnosis document: the contract of ``--format json``. Fields are added, never renamed.

Plain dataclasses: building pydantic models costs 0.15 s at every start, and nothing here comes from outside. Pydantic
makes the published JSON Schema of them, and reads documents back (``json_schema()``, ``read()``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from doctor.vocabulary.terms import Outcome, Severity

Verdict = Literal["failing", "degraded", "healthy", "at_risk", "clear", "unknown"]
Role = Literal["root_cause", "contributing", "symptom", "advice", "risk"]
Confidence = Literal["high", "medium", "low"]


@dataclass(slots=True, kw_only=True)
class SourceEntry:
    path: str
    kind: Literal["log", "env", "config", "hardware"] = "log"
    node: str = "local"
    bytes: int = 0
    lines: int = 0
    sampled: bool = False


@dataclass(slots=True, kw_only=True)
class EngineEntry:
    name: str | None = None
    version: str | None = None
    product: str | None = None
    lineage: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Event:
    line: int
    what: str
    text: str


@dataclass(slots=True, kw_only=True)
class RunEntry:
    id: str
    node: str = "local"
    parent: str | None = None
    incident: str | None = None
    engine: EngineEntry
    outcome: Outcome
    source: str
    first_line: int
    last_line: int
    facts: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)  # of each fact: where it stands, or what worked it out
    events: list[Event] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class SettingEntry:
    name: str
    declared: Any = None
    effective: Any = None
    origin: str
    declared_at: str | None = None
    run: str | None = None


@dataclass(slots=True, kw_only=True)
class MemoryPart:
    kind: str
    bytes: int
    source: Literal["log", "estimate"]


@dataclass(slots=True, kw_only=True)
class MemoryEntry:
    device: str
    parts: list[MemoryPart] = field(default_factory=list)
    total: int | None = None
    free: int | None = None
    missing: int | None = None
    run: str | None = None


@dataclass(slots=True, kw_only=True)
class EvidenceLine:
    path: str
    line: int
    text: str
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    captures: dict[str, Any] = field(default_factory=dict)
    signature: str | None = None


@dataclass(slots=True, kw_only=True)
class Computed:
    name: str
    value: Any
    unit: str = ""
    expression: str = ""
    inputs: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Measure:
    """A figure of the trials before and after: medians of the repeats, and how far these lie apart."""

    name: str
    unit: str
    before: float | None = None
    after: float | None = None
    before_spread: float | None = None
    after_spread: float | None = None
    repeats: int = 1
    change: Literal["better", "worse", "noise", ""] = ""


@dataclass(slots=True, kw_only=True)
class TrialEntry:
    """One trial: what was started, and what became of it."""

    which: Literal["before", "after"]
    command: str
    outcome: str
    ended: str
    rule_id: str | None = None
    seconds: float = 0.0
    evidence: list[EvidenceLine] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Confirmation:
    """Trials before and after a change, and what they prove."""

    verdict: Literal["confirmed", "refuted", "inconclusive"]
    reason: str
    workload: str = ""
    failure: str | None = None
    change: str = ""
    effect: Literal["seen", "not_seen", "missing", ""] = ""
    effect_text: str = ""
    measures: list[Measure] = field(default_factory=list)
    trials: list[TrialEntry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    applied: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class RemedyEntry:
    id: str
    title: str
    removes: str
    safety: str
    cost: str | None = None
    undo: str | None = None
    actions: list[dict[str, Any]] = field(default_factory=list)
    diff: str | None = None
    raises: list[str] = field(default_factory=list)
    confirmation: Confirmation | None = None


@dataclass(slots=True, kw_only=True)
class ReferenceEntry:
    url: str
    kind: str
    note: str | None = None


@dataclass(slots=True, kw_only=True)
class Finding:
    id: str
    rule_id: str
    family: str
    role: Role
    runs: list[str] = field(default_factory=list)
    node: str | None = None
    incident: str | None = None
    explains: list[str] = field(default_factory=list)
    severity: Severity
    confidence: Confidence
    title: str
    summary: str = ""
    explanation: str = ""
    evidence: list[EvidenceLine] = field(default_factory=list)
    count: int = 1
    computed: list[Computed] = field(default_factory=list)
    missing_facts: list[str] = field(default_factory=list)
    remedies: list[RemedyEntry] = field(default_factory=list)
    collect: list[str] = field(default_factory=list)
    references: list[ReferenceEntry] = field(default_factory=list)
    known_by: str = ""


@dataclass(slots=True, kw_only=True)
class Suppressed:
    """A finding that somebody has accepted: why, up to which day (ISO 8601), and where that is written."""

    finding: Finding
    reason: str
    until: str | None = None
    by: Literal["inline", "baseline"]
    path: str
    line: int


@dataclass(slots=True, kw_only=True)
class HistoryEntry:
    rule_id: str
    title: str
    count: int
    runs: list[str]
    first: str
    last: str


@dataclass(slots=True, kw_only=True)
class NotJudged:
    missing: str
    rules: list[str]
    hint: str


@dataclass(slots=True, kw_only=True)
class Unexplained:
    path: str
    line: int
    text: str
    count: int = 1


@dataclass(slots=True, kw_only=True)
class Problem:
    stage: str
    subject: str
    message: str
    hint: str = ""


@dataclass(slots=True, kw_only=True)
class Diagnosis:
    schema: str = "llmdoctor/diagnosis/1"
    llmdoctor: str
    verdict: Verdict
    summary: str = ""
    planned: bool = False  # of deployments that have not run yet: its runs are those that are to be
    sources: list[SourceEntry] = field(default_factory=list)
    runs: list[RunEntry] = field(default_factory=list)
    settings: list[SettingEntry] = field(default_factory=list)
    memory: list[MemoryEntry] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    suppressed: list[Suppressed] = field(default_factory=list)  # none of them is among the findings
    history: list[HistoryEntry] = field(default_factory=list)
    judged: list[str] = field(default_factory=list)  # rules that a line called for, or that are about settings alone
    could_not_judge: list[NotJudged] = field(default_factory=list)
    unexplained: list[Unexplained] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    settings_file: str | None = None  # what was selected, ignored and regraded stands there

    def to_dict(self) -> dict[str, Any]:
        """As JSON data, in the order of the fields."""
        return asdict(self)


def json_schema() -> dict[str, Any]:
    """The published JSON Schema of the document."""
    from pydantic import TypeAdapter

    return TypeAdapter(Diagnosis).json_schema()


def read(text: str | bytes) -> Diagnosis:
    """A document from its JSON.

    Raises:
        pydantic.ValidationError: not a diagnosis document.
    """
    import json

    from pydantic import TypeAdapter, ValidationError

    adapter = TypeAdapter(Diagnosis)
    try:
        return adapter.validate_json(text)
    except ValidationError:
        try:  # a log may hold halves of characters; Python's JSON passes them on, pydantic's does not take them
            halves = json.loads(text, parse_constant=str)
        except (ValueError, RecursionError):
            halves = None
        if halves is None:
            raise
    return adapter.validate_python(_whole(halves))


def _whole(value: Any) -> Any:
    """JSON data with each lone surrogate replaced."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {_whole(key): _whole(item) for key, item in value.items()}
    return value
