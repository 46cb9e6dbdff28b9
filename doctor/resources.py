"""Where the rule book and the report templates lie.

Inside an installed package they are under ``doctor/_data``; in a checkout (and an editable install) they are the
top-level folders ``rules/`` and ``reports/``, so that an edited rule counts at once.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from doctor.errors import UsageProblem

_PACKAGE = Path(__file__).resolve().parent


@cache
def folder(name: str) -> Path:
    """The folder ``rules`` or ``reports``.

    Raises:
        UsageProblem: the installation is incomplete.
    """
    for candidate in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise UsageProblem(
        f"the {name}/ folder of llmdoctor was not found",
        hint="the installation is incomplete: reinstall llmdoctor-inference",
    )
