"""The closed word lists that rules, runs and findings share. No pydantic here: they are needed at every start."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, get_args


class Kind(StrEnum):
    CAUSE = "cause"
    WRAPPER = "wrapper"
    NOISE = "noise"
    ADVICE = "advice"


class Severity(StrEnum):
    INFO = "info"
    MINOR = "minor"
    MAJOR = "major"
    FATAL = "fatal"

    @property
    def rank(self) -> int:
        return _RANK[self]


_RANK = {severity: rank for rank, severity in enumerate(Severity)}


class Evidence(StrEnum):
    """How the rule's claim is known, best first."""

    REPRODUCED = "reproduced"
    MEASURED = "measured"
    MAINTAINER = "maintainer"
    SOURCE_READ = "source_read"
    REPORTER = "reporter"
    INFERRED = "inferred"


class Phase(StrEnum):
    """When in a run the failure strikes. What a later sign of life of the same run takes back depends on it.

    ``start`` .. ``warmup`` failures are recovered from when the run becomes ready afterwards; ``serve`` and
    ``request`` ones are not; ``any`` never counts as recovered.
    """

    BUILD = "build"
    START = "start"
    LOAD = "load"
    CONTEXT = "context"
    WARMUP = "warmup"
    SERVE = "serve"
    REQUEST = "request"
    EXIT = "exit"
    ANY = "any"


class Outcome(StrEnum):
    CRASHED = "crashed"
    KILLED = "killed"
    FAILED_TO_START = "failed_to_start"
    HUNG = "hung"
    REQUESTS_FAILING = "requests_failing"
    DEGRADED = "degraded"
    STOPPED = "stopped"
    HEALTHY = "healthy"
    UNKNOWN = "unknown"

    @property
    def bad(self) -> bool:
        return self in _BAD


_BAD = {Outcome.CRASHED, Outcome.KILLED, Outcome.FAILED_TO_START, Outcome.HUNG, Outcome.REQUESTS_FAILING}

WorkloadName = Literal[
    "load_only",
    "one_prompt",
    "fill_context",
    "generate_past_context",
    "parallel_requests",
    "long_prefill",
    "embedding",
]
"""What a trial puts to an engine (doctor/trial/workload.py)."""
WORKLOADS: tuple[str, ...] = get_args(WorkloadName)
