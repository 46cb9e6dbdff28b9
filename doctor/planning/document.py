"""The plan document: what ``llmdoctor plan --format json`` prints. Fields are added, never renamed. Sizes are bytes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

SCHEMA = "llmdoctor/plan/1"
Verdict = Literal["fits", "does_not_fit", "unknown"]


@dataclass(slots=True, kw_only=True)
class PlanPart:
    """Memory of one kind. ``exact``: from the tensors' or the cache's own arithmetic; else an estimate."""

    kind: str
    bytes: int
    exact: bool


@dataclass(slots=True, kw_only=True)
class PlanPlace:
    """A device, or the host.

    Attributes:
        total: bytes of its memory, None when not known; ``held``: what other programs have of it.
        parts: what the model takes; mapped weights don't count in ``need``.
        reserve: to be kept free; ``left``: what remains below it, negative if it does not fit; None without ``total``.
        weights: bytes by tensor type.
        layers: repeating layers that lie there.
    """

    name: str
    description: str = ""
    total: int | None = None
    held: int = 0
    parts: list[PlanPart] = field(default_factory=list)
    need: int = 0
    reserve: int = 0
    left: int | None = None
    weights: dict[str, int] = field(default_factory=dict)
    layers: int = 0


@dataclass(slots=True, kw_only=True)
class PlanOption:
    """A change, and whether it makes the model fit.

    Attributes:
        what: ``context``, ``kv_type``, ``gpu_layers``, ``cpu_moe``, ``tensor_split``, ``slots``, ``quant``.
        text: in words.
        value: what the setting becomes.
        flags: what to write on the command line.
        fits: whether all fits with it.
    """

    what: str
    text: str
    value: Any
    flags: list[str] = field(default_factory=list)
    fits: bool = True


@dataclass(slots=True, kw_only=True)
class PlanSpeed:
    """An upper bound for one sequence from memory bandwidth; no forecast.

    Attributes:
        bound: tokens a second with an empty cache, None if a bandwidth is not known; ``bound_full``: with a full one.
        token_bytes: bytes of weights that a token reads; ``cache_bytes``: of a full cache, which it reads too.
        by_place: bytes by place, with the bandwidth in bytes a second (None: not known).
    """

    bound: float | None = None
    bound_full: float | None = None
    token_bytes: int = 0
    cache_bytes: int = 0
    by_place: dict[str, list[float | None]] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class PlanDocument:
    """Attributes:
    settings: those that were counted with, by catalogue name.
    flags: the command line that gives them.
    options: what could be changed, the settings that fit first.
    kv_tokens: what the cache of vLLM or SGLang holds, over all requests; None for other engines.
    measured: ``by`` whom, and ``compute`` by place: what was estimated, and what the engine measured itself.
    notes: what was assumed. ``problems``: what is wrong with the input.
    """

    schema: str = SCHEMA
    llmdoctor: str = ""
    engine: str = "llama.cpp"
    verdict: Verdict = "unknown"
    summary: str = ""
    model: dict[str, Any] = field(default_factory=dict)
    target: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    places: list[PlanPlace] = field(default_factory=list)
    options: list[PlanOption] = field(default_factory=list)
    kv_tokens: int | None = None
    measured: dict[str, Any] = field(default_factory=dict)
    speed: PlanSpeed = field(default_factory=PlanSpeed)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As JSON data, in the order of the fields."""
        return asdict(self)


def json_schema() -> dict[str, Any]:
    """The published JSON Schema of the document."""
    from pydantic import TypeAdapter

    return TypeAdapter(PlanDocument).json_schema()
