"""The document as JSON lines: a header, then one record a line, for logs pipelines and `jq`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from doctor.vocabulary.document import Diagnosis

# The lists of the document, and what an element of each is called.
RECORDS = {
    "sources": "source",
    "runs": "run",
    "settings": "setting",
    "memory": "memory",
    "findings": "finding",
    "suppressed": "suppressed",
    "history": "history",
    "could_not_judge": "not_judged",
    "unexplained": "unexplained",
    "problems": "problem",
}


def render_jsonl(document: Diagnosis) -> str:
    """One JSON object a line, each with its ``type``; the first is of type ``diagnosis`` and holds the verdict."""
    return "".join(json.dumps(record, ensure_ascii=True) + "\n" for record in records(document))


def records(document: Diagnosis) -> Iterator[dict[str, Any]]:
    data = document.to_dict()
    header = [field.name for field in fields(Diagnosis) if field.name not in RECORDS]
    yield {"type": "diagnosis", **{name: data[name] for name in header}}
    for name, kind in RECORDS.items():
        for element in data[name]:
            yield {"type": kind, **element}
