"""Reads rule and dialect files; every mistake is named with file, line, field and reason, and nothing else is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from doctor.vocabulary.dialect import Dialect
from doctor.vocabulary.rule import Rule

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MAX_FILE_BYTES = 512 * 1024
MAX_FILES = 5000
M = TypeVar("M", Rule, Dialect)


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong in a rule file. ``line`` is 1-based, 0 when the file as a whole is meant."""

    path: str
    line: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {self.message}" + (f" ({self.hint})" if self.hint else "")


@dataclass(slots=True)
class Files:
    """What the folders held: validated models beside their paths, and the mistakes of the files that are left out."""

    rules: list[tuple[Path, Rule]] = field(default_factory=list)
    dialects: list[tuple[Path, Dialect]] = field(default_factory=list)
    lineage: dict[str, Any] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)


def rule_files(folder: Path) -> Iterator[Path]:
    """All YAML files below ``folder``, in a stable order; links that lead out of it are left alone."""
    root = folder.resolve()
    for count, path in enumerate(sorted(folder.rglob("*.y*ml"))):
        if count >= MAX_FILES:
            return
        if path.suffix in {".yaml", ".yml"} and path.is_file() and path.resolve().is_relative_to(root):
            yield path


def load_folder(folder: Path, into: Files | None = None) -> Files:
    """Loads a rule folder: ``dialects/*.yaml``, ``dialects/lineage.yaml`` and one rule in every other file."""
    files = into or Files()
    seen = {rule.id: path for path, rule in files.rules}
    for path in rule_files(folder):
        data = _read(path, files.mistakes)
        if data is None:
            continue
        if path.parent.name == "dialects":
            if path.stem == "lineage":
                files.lineage.update(data.value)
            elif (dialect := _validate(Dialect, data, files.mistakes)) is not None:
                files.dialects.append((path, dialect))
        elif (rule := _validate(Rule, data, files.mistakes)) is not None:
            if rule.id != path.stem:
                files.mistakes.append(
                    Mistake(str(path), 1, f"the file of rule {rule.id!r} must be named {rule.id}.yaml")
                )
            if rule.id in seen:
                files.mistakes.append(Mistake(str(path), 1, f"rule {rule.id!r} is already defined in {seen[rule.id]}"))
                continue
            seen[rule.id] = path
            files.rules.append((path, rule))
    return files


@dataclass(frozen=True, slots=True)
class _Document:
    path: Path
    value: dict[str, Any]
    node: yaml.Node

    def line_of(self, location: tuple[int | str, ...]) -> int:
        """The line of the innermost part of ``location`` that the file has."""
        node = self.node
        for part in location:
            found = None
            if isinstance(node, yaml.MappingNode):
                found = next((value for key, value in node.value if key.value == str(part)), None)
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                found = node.value[part]
            if found is None:
                continue  # pydantic names union members too: they are no part of the file
            node = found
        return int(node.start_mark.line) + 1


def _read(path: Path, mistakes: list[Mistake]) -> _Document | None:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            mistakes.append(Mistake(str(path), 0, f"larger than {MAX_FILE_BYTES} bytes: not a rule file"))
            return None
        text = path.read_text(encoding="utf-8")
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is not None and _has_alias(text):
                mistakes.append(Mistake(str(path), 0, "YAML anchors and aliases are not used in rules"))
                return None
            value = loader.construct_document(node) if node is not None else None
        finally:
            loader.dispose()
    except (OSError, UnicodeDecodeError) as error:
        mistakes.append(Mistake(str(path), 0, f"cannot be read: {error}"))
        return None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        message = getattr(error, "problem", None) or str(error)
        mistakes.append(Mistake(str(path), mark.line + 1 if mark else 0, f"not valid YAML: {message}"))
        return None
    except RecursionError:
        mistakes.append(Mistake(str(path), 0, "nested too deeply"))
        return None
    if not isinstance(value, dict):
        mistakes.append(Mistake(str(path), 1, "a rule file holds one mapping (id: ..., kind: ..., ...)"))
        return None
    return _Document(path, value, node)


def _has_alias(text: str) -> bool:
    """Aliases let a small file grow without bound when it is loaded; no rule needs one."""
    return (
        any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=_Loader)) if "*" in text else False
    )


def _validate(model: type[M], document: _Document, mistakes: list[Mistake]) -> M | None:
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        for detail in error.errors()[:20]:
            place = ".".join(
                str(part) for part in detail["loc"] if part != "function-before[_from_string(), Signature]"
            )
            mistakes.append(Mistake(str(document.path), document.line_of(detail["loc"]), f"{place}: {detail['msg']}"))
        return None
