"""Small YAML files that people write by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from doctor.errors import UsageProblem

_MOST = 16 * 1024 * 1024


def load_yaml(path: Path) -> dict[str, Any]:
    """A YAML (or JSON) file of keys and values.

    Raises:
        UsageProblem: it can't be read, or holds something else; says the line.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST + 1)
    except OSError as error:
        raise UsageProblem(f"can't be read: {error.strerror or error}", subject=str(path)) from None
    if len(content) > _MOST:
        raise UsageProblem("too long for a file of this kind", subject=str(path))
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageProblem("not a text file", subject=str(path)) from None
    if text.lstrip().startswith("{"):
        import json

        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageProblem(f"not JSON: {error}", subject=str(path)) from None
    else:
        import yaml

        if len(text) > 256 * 1024:
            raise UsageProblem("too long for a file that is written by hand", subject=str(path))
        try:
            data = yaml.safe_load(text)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 0
            raise UsageProblem(f"not YAML: {error.problem}", subject=f"{path}:{line}") from None
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            raise UsageProblem(f"not YAML: {str(error)[:200]}", subject=str(path)) from None
    if not isinstance(data, dict):
        raise UsageProblem("holds no 'key: value' lines", subject=str(path))
    return data
