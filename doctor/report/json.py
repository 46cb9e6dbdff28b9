"""The diagnosis document as JSON: the contract for programs."""

from __future__ import annotations

from doctor.vocabulary.document import Diagnosis


def render_json(document: Diagnosis) -> str:
    """Indented JSON with a final newline; lone surrogates and control characters are escaped."""
    return document.model_dump_json(by_alias=True, indent=1) + "\n"
