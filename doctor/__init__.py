"""Diagnose local LLM servers: the public door of the package.

Nothing is imported here that a caller does not use: the command line starts in a few hundredths of a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0.dev0"

if TYPE_CHECKING:
    from doctor.api import analyze
    from doctor.checking import check
    from doctor.errors import UsageProblem
    from doctor.planning.request import plan_request as plan
    from doctor.trial.door import confirm
    from doctor.vocabulary.document import Diagnosis, Finding

__all__ = ["Diagnosis", "Finding", "UsageProblem", "__version__", "analyze", "check", "confirm", "plan"]


def __getattr__(name: str) -> Any:
    if name == "analyze":
        from doctor.api import analyze

        return analyze
    if name == "check":
        from doctor.checking import check

        return check
    if name == "confirm":
        from doctor.trial.door import confirm

        return confirm
    if name == "plan":
        from doctor.planning.request import plan_request

        return plan_request
    if name == "UsageProblem":
        from doctor.errors import UsageProblem

        return UsageProblem
    if name in {"Diagnosis", "Finding"}:
        from doctor.vocabulary import document

        return getattr(document, name)
    raise AttributeError(f"module 'doctor' has no attribute {name!r}")
