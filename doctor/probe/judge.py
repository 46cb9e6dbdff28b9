"""What the rule book says of a machine alone: its facts and its kernel log, without any engine's log."""

from __future__ import annotations

from doctor.probe.document import Probe
from doctor.vocabulary.document import Diagnosis


def judge_machine(probe: Probe) -> Diagnosis:
    """The diagnosis of a probe document."""
    from doctor.api import Request, analyze_request

    return analyze_request(Request(probe=probe))
