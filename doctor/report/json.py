"""The diagnosis document as JSON: the contract for programs."""

from __future__ import annotations

import json

from doctor.vocabulary.document import Diagnosis


def render_json(document: Diagnosis) -> str:
    """Indented JSON with a final newline; lone surrogates and control characters are escaped."""
    return json.dumps(document.to_dict(), indent=1, ensure_ascii=True) + "\n"
