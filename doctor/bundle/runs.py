"""How a run of any engine begins, as one pattern: for cutting a log at a run's start."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any


def run_starts() -> re.Pattern[str] | None:
    """The union of the dialects' start markers; those that ``re`` can't take are left out."""
    from doctor.rulebook.book import load_book

    found = []
    for dialect in load_book([]).dialects.values():
        for line in dialect.get("starts", []):
            pattern = _text(line)
            with suppress(re.error):
                re.compile(pattern)
                found.append(re.sub(r"\(\?P<\w+>", "(?:", pattern))
    return re.compile("|".join(f"(?:{pattern})" for pattern in found)) if found else None


def _text(line: Any) -> str:
    return str(line["pattern"] if isinstance(line, dict) else line)
