"""A probe document on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from doctor.errors import UsageProblem


def save(document: dict[str, Any], path: str) -> None:
    """Writes it as JSON, or as YAML by the file's name.

    Raises:
        UsageProblem: it can't be written.
    """
    try:
        Path(path).write_text(written(document, yaml=path.endswith((".yaml", ".yml"))), encoding="utf-8")
    except OSError as error:
        raise UsageProblem(f"can't be written: {error.strerror}", subject=path) from error


def written(document: dict[str, Any], *, yaml: bool = False) -> str:
    """The text of the document. In YAML outputs are blocks that a person can read."""
    if not yaml:
        return json.dumps(document, indent=1, default=str) + "\n"
    import yaml as library

    class Dumper(library.SafeDumper):
        pass

    def block(dumper: Any, text: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)

    Dumper.add_representer(str, block)
    plain = json.loads(json.dumps(document, default=str))
    return library.dump(plain, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)
