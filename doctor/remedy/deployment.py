"""What is deployed (a command line, environment files), changed on a copy, and the difference shown.

Nothing is run and no file is written here.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from doctor.facts.options import KnownOption

MAX_FILE_LINES = 2000


@dataclass(frozen=True, slots=True)
class DeclaredFile:
    """An environment file as it is: path and text."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """A command line as words (empty when not known) and the files that declare its environment."""

    words: tuple[str, ...] = ()
    files: tuple[DeclaredFile, ...] = ()
    options: Sequence[KnownOption] = field(default_factory=tuple)

    def apply(self, actions: Sequence[dict[str, Any]]) -> Deployment:
        """A copy with the actions carried out that change a command line or an environment file."""
        changed = self
        for action in actions:
            kind = action["kind"]
            if kind == "set_flag" and changed.words:
                changed = replace(changed, words=changed._with_flag(action["flag"], action.get("value")))
            elif kind == "remove_flag" and changed.words:
                changed = replace(changed, words=changed._without_flag(action["flag"]))
            elif kind == "set_env":
                changed = changed._with_variable(action["variable"], action["value"])
            elif kind == "unset_env":
                changed = changed._with_variable(action["variable"], None)
        return changed

    def diff(self, other: Deployment) -> str | None:
        """What changes from this deployment to ``other``, as text; None when nothing does."""
        parts = []
        if self.words != other.words:
            parts.append(f"- {shlex.join(self.words)}\n+ {shlex.join(other.words)}")
        for old, new in zip(self.files, other.files, strict=False):
            if old.text != new.text:
                lines = difflib.unified_diff(
                    old.text.splitlines(), new.text.splitlines(), old.path, new.path, n=2, lineterm=""
                )
                parts.append("\n".join(lines))
        return "\n".join(parts) or None

    def names_of(self, flag: str) -> set[str]:
        """All spellings of a flag of the same setting (``-c``, ``--ctx-size``)."""
        names = {flag}
        for option in self.options:
            if flag in option.flags:
                switch = option.type.startswith("switch")
                names.update(name for name in option.flags if not switch or _negated(name) == _negated(flag))
        return names

    def _with_flag(self, flag: str, value: str | None) -> tuple[str, ...]:
        kept = list(self._without_flag(flag))
        place = self._position(flag)
        inserted = [flag] if value is None else [flag, value]
        at = place if place is not None else len(kept)
        return tuple(kept[:at] + inserted + kept[at:])

    def _position(self, flag: str) -> int | None:
        names = self.names_of(flag)
        for index, word in enumerate(self.words):
            if word.split("=", 1)[0] in names:
                return index
        return None

    def _without_flag(self, flag: str) -> tuple[str, ...]:
        names = self.names_of(flag)
        kept: list[str] = []
        skip = False
        for index, word in enumerate(self.words):
            if skip:
                skip = False
                continue
            name, equals, _ = word.partition("=")
            if name in names and index > 0:
                following = self.words[index + 1] if index + 1 < len(self.words) else "-"
                skip = not equals and not self._is_switch(name) and not _looks_like_flag(following)
                continue
            kept.append(word)
        return tuple(kept)

    def _is_switch(self, flag: str) -> bool:
        return any(flag in option.flags and option.type.startswith("switch") for option in self.options)

    def _with_variable(self, name: str, value: str | None) -> Deployment:
        """Sets (or removes) ``NAME=...`` in the file that declares it, else adds it to the first file."""
        pattern = re.compile(rf"^(\s*(?:export\s+|Environment=\"?)?){re.escape(name)}=")
        for index, file in enumerate(self.files):
            lines = file.text.splitlines()
            if any(pattern.match(line) for line in lines):
                kept = []
                for line in lines:
                    found = pattern.match(line)
                    if not found:
                        kept.append(line)
                    elif value is not None:
                        quote = '"' if found[1].rstrip().endswith('"') else ""
                        kept.append(f"{found[1]}{name}={value}{quote}")
                return self._with_file(index, kept, file)
        if value is not None and self.files:
            file = self.files[0]
            return self._with_file(0, [*file.text.splitlines(), f"{name}={value}"], file)
        return self

    def _with_file(self, index: int, lines: list[str], file: DeclaredFile) -> Deployment:
        files = list(self.files)
        files[index] = DeclaredFile(file.path, "\n".join(lines) + ("\n" if file.text.endswith("\n") else ""))
        return replace(self, files=tuple(files))


def _looks_like_flag(word: str) -> bool:
    return bool(re.match(r"--?[A-Za-z]", word))


def _negated(flag: str) -> bool:
    return flag.startswith("--no-") or (flag.startswith("-no") and not flag.startswith("--"))


def read_declared(path: str) -> DeclaredFile | None:
    """The file's text, when it is small enough to be a configuration."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return DeclaredFile(path, text) if text.count("\n") <= MAX_FILE_LINES else None
