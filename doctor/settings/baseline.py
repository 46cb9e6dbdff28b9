"""The file of accepted findings: TOML, written by ``llmdoctor check --write-baseline`` and kept by people."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from doctor.errors import UsageProblem

_MOST_BYTES = 4 << 20
_HEAD = """\
# Findings of `llmdoctor check` that are accepted. Each needs a reason; `until` is the last day on which it holds.
# An entry ends with the line (`text`) that it was written for. https://toml.io
"""


@dataclass(slots=True, kw_only=True)
class Entry:
    """The keys of one `[[suppress]]`."""

    __pydantic_config__ = {"extra": "forbid", "use_attribute_docstrings": True}  # noqa: RUF012 - pydantic reads it so

    rule: str
    """The id of the rule."""

    reason: str
    """Why this is accepted."""

    until: date | None = None
    """The last day on which it holds; without it, it holds until it has nothing to suppress."""

    path: str | None = None
    """The file that the finding is about, beside the baseline; any file without it."""

    text: str | None = None
    """The line that declares it, without indentation and comment; any line without it."""

    count: int | None = None
    """How many such findings are accepted; any number without it."""


def read(path: Path) -> list[tuple[Entry, int]]:
    """Each entry with its line.

    Raises:
        UsageProblem: the file can't be read, or an entry is wrong.
    """
    import tomllib

    from pydantic import TypeAdapter, ValidationError

    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        hint = "`llmdoctor check ... --write-baseline FILE --reason TEXT` writes one"
        raise UsageProblem(f"can't be read: {error.strerror}", subject=str(path), hint=hint) from None
    if len(content) > _MOST_BYTES:
        raise UsageProblem(f"is larger than {_MOST_BYTES >> 20} MiB", subject=str(path))
    try:
        text = content.decode("utf-8")
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageProblem(f"is no TOML: {error}", subject=str(path)) from None
    entries = data.get("suppress", [])
    other = next((key for key in data if key != "suppress"), None)
    if other is not None or not isinstance(entries, list):
        message = f"no such key: {other}" if other is not None else "suppress is no list"
        raise UsageProblem(message, subject=str(path), hint="each entry begins with [[suppress]]")
    starts = [number for number, line in enumerate(text.split("\n"), 1) if re.match(r"\s*\[\[\s*suppress\s*\]\]", line)]
    adapter = TypeAdapter(Entry)
    found = []
    for number, entry in enumerate(entries):
        line = starts[number] if len(starts) == len(entries) else 1
        try:
            made = adapter.validate_python(entry)
        except ValidationError as error:
            raise _wrong(error.errors()[0]["loc"], error.errors()[0]["msg"], f"{path}:{line}") from None
        if not made.reason.strip():
            raise UsageProblem("reason: is empty", subject=f"{path}:{line}", hint="say why this is accepted")
        found.append((made, line))
    return found


def _wrong(where: tuple[int | str, ...], message: str, place: str) -> UsageProblem:
    from dataclasses import fields
    from difflib import get_close_matches

    name = ".".join(map(str, where))
    known = [each.name for each in fields(Entry)]
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(known)}"
        return UsageProblem(f"no such key: {name}", subject=place, hint=hint)
    why = "say why this is accepted" if name == "reason" else None
    return UsageProblem(f"{name}: {message}", subject=place, hint=why)


def write(
    path: Path, found: list[tuple[str, str | None, str, int]], reason: str, until: date | None, kept: list[Entry]
) -> None:
    """Writes the file: entries that still hold as they were, and new ones with this reason.

    Args:
        found: rule, file as it was named (None: no file), declared line, how many.

    Raises:
        UsageProblem: the file can't be written.
    """
    entries = list(kept)
    for rule, file, text, count in found:
        beside: str | None = None
        if file is not None and Path(file).exists():
            beside = Path(os.path.relpath(Path(file).resolve(), path.parent.resolve())).as_posix()
        entries.append(Entry(rule=rule, reason=reason, until=until, path=beside, text=text or None, count=count))
    parts = [_HEAD]
    for entry in sorted(entries, key=lambda each: (each.path or "", each.rule, each.text or "")):
        lines = ["[[suppress]]", f"rule = {_text(entry.rule)}"]
        lines += [f"path = {_text(entry.path)}"] if entry.path else []
        lines += [f"text = {_text(entry.text)}"] if entry.text else []
        lines += [f"count = {entry.count}"] if entry.count is not None else []
        lines.append(f"reason = {_text(entry.reason)}")
        lines += [f"until = {entry.until.isoformat()}"] if entry.until else []
        parts.append("\n".join(lines) + "\n")
    try:
        path.write_text("\n".join(parts), encoding="utf-8")
    except OSError as error:
        raise UsageProblem(f"can't be written: {error.strerror}", subject=str(path)) from None


def _text(text: str) -> str:
    """A basic string of TOML: JSON's escapes are among TOML's, except that DEL and halves of characters are not."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(whole, ensure_ascii=False).replace("\x7f", "\\u007F")
