"""What the rule book says of a machine alone: its facts and its kernel log, without any engine's log."""

from __future__ import annotations

from doctor.probe.document import Probe
from doctor.vocabulary.document import Diagnosis

_NEEDED = (
    *("doctor.api", "doctor.diagnose.engine", "doctor.diagnose.summary", "doctor.diagnose.unexplained"),
    *("doctor.diagnose.verdict", "doctor.scan.scanner", "doctor.scan.collect", "doctor.scan.database", "regex"),
    *("doctor.rulebook.book", "doctor.rulebook.expressions", "doctor.rulebook.functions", "hyperscan"),
)


def prepare() -> None:
    """Imports what judging needs, which takes longer than judging: to be done while the tools think."""
    from importlib import import_module

    for name in _NEEDED:
        import_module(name)


def judge_machine(probe: Probe) -> Diagnosis:
    """The diagnosis of a probe document."""
    from doctor.api import Request, analyze_request

    return analyze_request(Request(probe=probe))
