"""Rules as data. Published as JSON Schema by ``llmdoctor rules schema``.

A string in an ``Expression`` position is a Jinja2 expression over signature captures (``abort.op``), facts
(``setting.context``) and names from ``compute``; a ``Template`` is text with ``{{ expression }}`` in it: prose, and the
values of flags and variables, which are mostly literal words (``on``, ``q8_0``).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from doctor.vocabulary.terms import Evidence, Kind, Outcome, Phase, Severity, WorkloadName

Expression = str
Template = str


CaptureType = Literal["str", "int", "float", "size", "bytes", "KiB", "MiB", "GiB", "kB", "MB", "GB", "version", "bool"]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Signature(Strict):
    """A pattern with named, typed captures. Write a bare string when every capture is text."""

    pattern: str = Field(description="Python `re` syntax with (?P<name>...) captures; never anchored at the line start")
    captures: dict[str, CaptureType] = Field(
        default_factory=dict,
        description="types of captures; `MiB` reads a bare number as MiB, `size` reads number and unit",
    )
    ignore_case: bool = False
    dense: bool = Field(default=False, description="may be sampled on big inputs; never for a cause or a wrapper")

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: Any) -> Any:
        return {"pattern": value} if isinstance(value, str) else value


class EngineRange(Strict):
    name: str
    affected: str | None = Field(default=None, description="version range, e.g. '>=0.0.117,<0.0.119'")
    fixed: str | None = Field(default=None, description="first version without the defect")


class Step(Strict):
    """One element of a `sequence`: this signature, after the one before it, within so many lines."""

    signature: str
    within_lines: int | None = None
    same_proc: bool = False

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"signature": value}
        if isinstance(value, dict) and "signature" not in value:
            names = [key for key, content in value.items() if content is None]
            if len(names) == 1:
                return {"signature": names[0], **{k: v for k, v in value.items() if k != names[0]}}
        return value


class Count(Strict):
    signature: str
    at_least: int = 2
    within_lines: int | None = None


class NotFollowedBy(Strict):
    """True when `signature` matched and `by` does not come after it (in the same run, within so many lines)."""

    signature: str
    by: str
    within_lines: int | None = None


class Match(Strict):
    """All given parts must hold. A plain string is a signature's name, or else an expression."""

    all: list[Term] = Field(default_factory=list)
    any: list[Term] = Field(default_factory=list)
    none: list[Term] = Field(default_factory=list)
    sequence: list[Step] = Field(default_factory=list)
    count: Count | None = None
    not_followed_by: NotFollowedBy | None = None
    strengthened_by: list[str] = Field(
        default_factory=list, description="signatures or expressions that raise confidence"
    )


Term = str | Match
Match.model_rebuild()


# --- remedies: a closed set of actions; never shell text -----------------------------------------------------------


class SetFlag(Strict):
    kind: Literal["set_flag"]
    flag: str
    value: Template | None = Field(default=None, description="as it is typed; '{{ memory.x }}' for a computed one")


class RemoveFlag(Strict):
    kind: Literal["remove_flag"]
    flag: Template = Field(description="as it is typed; '{{ signature.capture }}' for the one that a log names")


class SetEnv(Strict):
    kind: Literal["set_env"]
    variable: str
    value: Template


class UnsetEnv(Strict):
    kind: Literal["unset_env"]
    variable: str


class EditConfig(Strict):
    kind: Literal["edit_config"]
    file: str = Field(description="which file, in words or as a path the product documents")
    key: str
    value: Template | None = Field(default=None, description="absent: the key is removed")


class Upgrade(Strict):
    kind: Literal["upgrade", "downgrade"]
    product: str
    to: str = Field(description="version range, e.g. '>=0.0.123'")
    scope: Literal["this_node", "every_node"] = "this_node"


class Resize(Strict):
    kind: Literal["resize"]
    resource: str = Field(description="ram, swap, vram, container memory limit, /dev/shm, model quantisation, ...")
    to: Expression | None = Field(default=None, description="the size needed, in bytes unless `unit` says otherwise")
    unit: str = "bytes"


class FreeResource(Strict):
    kind: Literal["free_resource"]
    resource: str
    amount: Expression | None = None


class HostSetting(Strict):
    kind: Literal["host_setting"]
    name: str = Field(description="sysctl, ulimit, systemd property, ...")
    value: Template
    where: str | None = None


class Restart(Strict):
    kind: Literal["restart"]
    what: str


class Explain(Strict):
    kind: Literal["explain"]
    text: Template


Action = Annotated[
    SetFlag
    | RemoveFlag
    | SetEnv
    | UnsetEnv
    | EditConfig
    | Upgrade
    | Resize
    | FreeResource
    | HostSetting
    | Restart
    | Explain,
    Field(discriminator="kind"),
]


class Remedy(Strict):
    id: str
    title: Template = Field(description="what to do, as an order to the reader, with the number that fits")
    removes: Literal["cause", "trigger", "symptom"]
    safety: Literal["safe", "changes_behaviour", "display_only"] = "safe"
    cost: Template | None = None
    undo: Template | None = None
    when: Expression | None = Field(default=None, description="shown unless this is false")
    actions: list[Action] = Field(min_length=1)


class Reference(Strict):
    url: str
    kind: Literal["issue", "pull_request", "docs", "source", "release", "write_up", "measured"]
    note: str | None = None


class Example(Strict):
    """Text the rule must (or must not) fire on, run through the real scanner and matcher."""

    log: str | None = None
    fixture: str | None = Field(default=None, description="a folder below fixtures/")
    facts: dict[str, Any] = Field(default_factory=dict, description="facts that the log does not hold; null: absent")
    records: dict[str, list[dict[str, Any]]] = Field(default_factory=dict, description="elements of collections")
    engine: str | None = Field(default=None, description="'llama-box 0.0.117': what the log does not say")
    captures: dict[str, Any] = Field(default_factory=dict, description="expected captures, as 'abort.op': VIEW")
    computed: dict[str, Any] = Field(default_factory=dict, description="expected values of `compute` names")
    why: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: Any) -> Any:
        return {"log": value} if isinstance(value, str) else value


class Examples(Strict):
    match: list[Example] = Field(default_factory=list)
    no_match: list[Example] = Field(default_factory=list)
    known_gaps: list[Example] = Field(default_factory=list)


class Confirm(Strict):
    """How a re-run tells whether the remedy worked."""

    workload: WorkloadName
    gone: list[str] = Field(default_factory=list, description="signatures that must not be seen again")
    tokens_at_least: Expression | None = None
    measures: list[
        Literal["speed.generation", "speed.prompt", "speed.first_token", "load_seconds", "memory.anonymous"]
    ] = Field(default_factory=list, description="figures that must improve beyond the noise")

    @model_validator(mode="after")
    def _measurable(self) -> Confirm:
        if self.workload == "load_only" and any(name.startswith("speed.") for name in self.measures):
            raise ValueError("load_only has no speed to measure: use one_prompt or long_prefill")
        return self


class CheckExamples(Strict):
    match: list[Example] = Field(default_factory=list)
    no_match: list[Example] = Field(default_factory=list)


class Check(Strict):
    """When the failure is to be expected of a deployment that has not run yet (`llmdoctor check`): without any log."""

    when: list[Expression] = Field(
        min_length=1, description="all must hold; over settings, env, host, device, model and memory"
    )
    given: dict[str, dict[str, Expression]] = Field(
        default_factory=dict, description="what the signatures would have captured: signature -> capture -> expression"
    )
    summary: Template | None = Field(default=None, description="what will happen; the rule's own summary if left out")
    explanation: Template | None = Field(default=None, description="in place of the rule's own")
    examples: CheckExamples = Field(default_factory=CheckExamples)

    @model_validator(mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("when"), str):
            return {**value, "when": [value["when"]]}
        return value


class Rule(Strict):
    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    kind: Kind
    title: str
    family: str | None = None
    severity: Severity = Severity.MAJOR
    status: Literal["experimental", "stable", "deprecated"] = "stable"
    phase: Phase = Phase.ANY
    outcome: Outcome | None = Field(default=None, description="the outcome this shows when no marker of the run says")
    engines: list[EngineRange] = Field(default_factory=list, description="empty: any engine")
    signatures: dict[str, Signature] = Field(default_factory=dict)
    match: Match
    check: Check | None = Field(default=None, description="when it is to be expected before anything has run")
    explains: list[str] = Field(default_factory=list, description="rule ids that are symptoms of this one")
    transient: bool = Field(
        default=False,
        description="what fails is one request, say: work afterwards takes it back, unless it fails again and again",
    )
    specificity: int = Field(default=0, description="added to the specificity that the ranking counts by itself")
    compute: dict[str, Expression] = Field(default_factory=dict)
    units: dict[str, str] = Field(default_factory=dict, description="unit of each computed value: bytes, tokens, ...")
    summary: Template | None = Field(default=None, description="the root cause in one sentence, with its numbers")
    explanation: Template = ""
    remedies: list[Remedy] = Field(default_factory=list)
    confirm: Confirm | None = None
    provoke: Template | None = None
    collect: list[str] = Field(default_factory=list, description="for wrappers: what to collect to find the cause")
    references: list[Reference] = Field(default_factory=list)
    evidence: Evidence = Evidence.INFERRED
    verified_with: list[str] = Field(default_factory=list)
    examples: Examples = Field(default_factory=Examples)
