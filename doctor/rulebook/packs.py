"""Rules of others: a folder, or what an installed package offers under the entry point group ``llmdoctor.rules``.

Nothing of a pack counts unless it is named. Its rules are data: no code of the package is run, not even imported.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING

from doctor.cache import read_cache, write_cache
from doctor.errors import UsageProblem
from doctor.vocabulary.document import Problem

if TYPE_CHECKING:
    from doctor.rulebook.book import RuleBook

GROUP = "llmdoctor.rules"
_MOST_TOLD = 10


def named_folders(named: Sequence[str]) -> list[Path]:
    """The folders that hold the rules, each once.

    Raises:
        UsageProblem: neither a folder nor a pack, or one without a rule.
    """
    from doctor.rulebook.load import rule_files

    found: list[Path] = []
    for name in named:
        folder = Path(name)
        if not folder.is_dir():
            folder = _pack(name)
        if next(rule_files(folder), None) is None:
            hint = "a rule is a file RULE-ID.yaml; `llmdoctor rules new` begins one"
            raise UsageProblem("no rule file in the folder", subject=str(folder), hint=hint)
        if all(folder.resolve() != other.resolve() for other in found):
            found.append(folder)
    return found


def packs() -> dict[str, EntryPoint]:
    """The installed packs by name."""
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=GROUP)}


def _pack(name: str) -> Path:
    if "/" in name or "\\" in name or name.startswith("."):
        raise UsageProblem("no such rule folder", subject=name, hint="--rules names a folder of rule files or a pack")
    known = packs()
    if name not in known:
        near = get_close_matches(name, known, n=1)
        if near:
            hint = f"did you mean {near[0]}?"
        elif known:
            hint = f"installed packs: {', '.join(sorted(known))}"
        else:
            hint = f"--rules names a folder; no installed package offers {GROUP}"
        raise UsageProblem("no such rule folder or pack", subject=name, hint=hint)
    folder = _folder_of(known[name])
    if folder is None:
        hint = f"its entry point {GROUP} has to name a package whose folder holds the rules, not {known[name].value!r}"
        raise UsageProblem("this rule pack has no folder", subject=name, hint=hint)
    return folder


def _folder_of(point: EntryPoint) -> Path | None:
    """Where the package of an entry point lies; it is looked up, not imported."""
    from importlib.machinery import PathFinder

    top, *below = point.module.split(".")
    spec = PathFinder.find_spec(top)
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        folder = Path(place, *below)
        if folder.is_dir():
            return folder
    return None


def refuse_broken(book: RuleBook, folders: Sequence[Path]) -> None:
    """A rule of others that can't be used is no rule: it names an action, a fact type or a key that does not exist.

    Raises:
        UsageProblem: names the first mistake and how many there are.
    """
    broken = [mistake for mistake in book.mistakes if _is_in(mistake, folders)]
    if broken:
        count = f"{len(broken)} mistake{'' if len(broken) == 1 else 's'}"
        raise UsageProblem(broken[0], hint=f"{count}; `llmdoctor rules lint {_named(folders)}` lists all")


def lint_problems(book: RuleBook, folders: Sequence[Path]) -> list[Problem]:
    """What the lint has to say of rules that can be used; it is asked once for each state of the book."""
    key = hashlib.sha256(f"lint\0{book.key}".encode()).hexdigest()
    cached = read_cache("lint", key)
    try:
        found = [str(text) for text in json.loads(cached)] if cached is not None else None
    except ValueError:
        found = None
    if found is None:
        from doctor.rulebook.lint import lint

        found = [text for mistake in lint(folders, only_extra=True) if _is_in(text := str(mistake), folders)]
        write_cache("lint", key, json.dumps(found))
    problems = []
    for text in found[:_MOST_TOLD]:
        subject, _, message = text.partition(": ")
        hint = f"`llmdoctor rules lint {_named(folders)}` lists all"
        problems.append(Problem(stage="rules", subject=subject, message=message, hint=hint))
    return problems


def _is_in(mistake: str, folders: Sequence[Path]) -> bool:
    return any(mistake.startswith(f"{folder}/") for folder in folders)


def _named(folders: Sequence[Path]) -> str:
    return " ".join(f"--rules {folder}" for folder in folders)
