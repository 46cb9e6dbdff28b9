"""What is deployed (a command line, the files that declare it), changed on a copy, and the difference shown.

Nothing is run and no file is written here. A change is made at the place where the value stands; then the files are
read again, and only what comes out as it was meant to is shown.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from doctor.facts.config.places import Place, Text
    from doctor.facts.config.workload import Workload
    from doctor.facts.options import KnownOption
    from doctor.remedy.edits import Edit

_CHANGING = frozenset({"set_flag", "remove_flag", "set_env", "unset_env", "edit_config", "resize", "host_setting"})
# Settings of a machine, and sizes of its parts, are in no file of a deployment: they are told in words beside a diff.
_ELSEWHERE = frozenset({"resize", "host_setting"})
MAX_REREAD = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Deployment:
    """A program as it is deployed.

    Attributes:
        words: its command line, where no file declares it; empty when not known.
        workload: what the files declare of it.
        files: all configuration files, by path.
        loose: the paths of environment files that no deployment names: they may be of this one.
        programs: the names of engines' programs, for reading changed files again.
        printed: settings that the engine has printed: which of two spellings its build knows.
        broken: an action that changes something could not be carried out, so a difference would be half a remedy.
    """

    words: tuple[str, ...] = ()
    workload: Workload | None = None
    files: Mapping[str, Text] = field(default_factory=dict)
    loose: Sequence[str] = ()
    options: Sequence[KnownOption] = field(default_factory=tuple)
    programs: Collection[str] = ()
    printed: Collection[str] = ()
    broken: bool = False

    def apply(self, actions: Sequence[dict[str, Any]]) -> Deployment:
        """A copy with the actions carried out that change a command line, a variable or a size."""
        changed = self
        for action in actions:
            if action["kind"] in _CHANGING and not changed.broken:
                changed = changed._with(action)
        return changed

    def diff(self, other: Deployment) -> str | None:
        """What changes from this deployment to ``other``, as text; None when nothing does.

        Of files a unified diff, as ``patch -p0`` takes it; of a command line the old and the new one.
        """
        if other.broken:
            return None
        parts = []
        if self.words != other.words:
            parts.append(f"- {shlex.join(self.words)}\n+ {shlex.join(other.words)}")
        for path, new in other.files.items():
            old = self.files[path]
            if old.text != new.text:
                from doctor.remedy.edits import unified

                parts.append(unified(path, old.text, new.text, old.newline))
        return "\n".join(part for part in parts if part) or None

    def _with(self, action: dict[str, Any]) -> Deployment:
        kind = action["kind"]
        if kind in {"set_flag", "remove_flag"} and (self.workload is None or not self.workload.words):
            return self._with_words(action)
        from doctor.remedy.edits import CannotEditError, edited

        try:
            edits = self._edits(action)
            texts = {
                path: edited(self.files[path].text, (e for e in edits if e.path == path))
                for path in {e.path for e in edits}
            }
        except CannotEditError:
            return self if kind in _ELSEWHERE else replace(self, broken=True)
        changed = self._reread(texts) if texts else self
        return changed if changed._holds(action) else replace(self, broken=True)

    def _edits(self, action: dict[str, Any]) -> list[Edit]:
        """Raises CannotEditError: the files don't show where."""
        from doctor.remedy.edits import CannotEditError
        from doctor.remedy.flags import remove_flag, set_flag
        from doctor.remedy.keys import CONTAINER_FLAGS, container_flag, edit_config, resize, set_limit
        from doctor.remedy.variables import named, set_variable, unset_variable

        kind, value = action["kind"], action.get("value")
        if kind in {"set_env", "unset_env"}:
            name = action["variable"]
            workload = self.workload
            loose = self._loose_variables()
            if (workload is None or not named(workload.variables, name)) and (
                workload is None or named(loose.variables, name)
            ):
                workload = loose
            if kind == "unset_env":
                return unset_variable(workload, self.files, name)
            return set_variable(workload, self.files, name, str(value))
        if self.workload is None:
            raise CannotEditError
        if kind == "set_flag" and action["flag"] in CONTAINER_FLAGS:
            return container_flag(self.workload, self.files, action["flag"], value)
        if kind == "set_flag":
            return set_flag(self.workload, self.files, action["flag"], value, self.options)
        if kind == "remove_flag":
            return remove_flag(self.workload, self.files, action["flag"], self.options)
        if kind == "edit_config":
            return edit_config(self.workload, self.files, action["file"], action["key"], value)
        if kind == "host_setting":
            return set_limit(self.workload, self.files, action["name"], str(value))
        if not isinstance(action.get("to"), int) or action.get("unit", "bytes") != "bytes":
            raise CannotEditError
        return resize(self.workload, self.files, action["resource"], action["to"])

    def _loose_variables(self) -> Workload:
        """The environment files that are of nothing in particular, as if a program were declared by them."""
        from doctor.facts.config.dotenv import variables_of
        from doctor.facts.config.workload import Workload

        paths = [path for path in self.loose if path in self.files]
        workload = Workload("env", "", paths[0] if paths else "", 1)
        workload.variables = [variable for path in paths for variable in variables_of(self.files[path])]
        return workload

    def _reread(self, texts: Mapping[str, str]) -> Deployment:
        """The deployment after its files have changed."""
        from doctor.facts.config.deployments import read_deployments
        from doctor.facts.config.places import Text

        files = {
            path: Text(path, texts[path], old.newline) if path in texts else old for path, old in self.files.items()
        }
        changed = replace(self, files=files)
        if self.workload is None:
            return changed
        before = self.workload
        declared_at = [*(word.place for word in before.words), *(variable.place for variable in before.variables)]
        places = [place for place in declared_at if place is not None]
        again = files
        if sum(len(file.text) for file in files.values()) > MAX_REREAD:
            near = {before.path, *texts, *(place.path for place in places)}
            again = {path: file for path, file in files.items() if path in near}
        if before.kind == "kubernetes":
            again = {path: self._near(file, places) for path, file in again.items()}
        declared = read_deployments(again.values(), self.programs)
        same = [
            each
            for each in declared.workloads
            if (each.kind, each.name, each.path, each.names) == (before.kind, before.name, before.path, before.names)
        ]
        return replace(changed, workload=same[0]) if same else replace(changed, broken=True)

    def _near(self, file: Text, places: Sequence[Place]) -> Text:
        """A file of manifests without those that the program has nothing in."""
        from doctor.facts.config.places import Text
        from doctor.facts.config.yamltext import without_others

        own = {place.start for place in places if place.path == file.path}
        if self.workload is not None and self.workload.node is not None and self.workload.path == file.path:
            own.add(self.workload.node.start)
        return Text(file.path, without_others(file.text, self.files[file.path].text, own), file.newline)

    def _holds(self, action: dict[str, Any]) -> bool:
        """Whether the files say what the action wanted."""
        from doctor.remedy.flags import occurrences
        from doctor.remedy.keys import CONTAINER_FLAGS
        from doctor.remedy.options import names_of, variables_for
        from doctor.remedy.variables import named

        kind, value = action["kind"], action.get("value")
        if self.broken:
            return False
        variables = [*self._loose_variables().variables, *(self.workload.variables if self.workload else [])]
        if kind in {"set_env", "unset_env"}:
            known = named(variables, action["variable"])
            return known is None if kind == "unset_env" else known is not None and known.value in {value, "***"}
        if kind not in {"set_flag", "remove_flag"} or self.workload is None or action["flag"] in CONTAINER_FLAGS:
            return True
        command = self.workload.command()
        found = occurrences(command, names_of(action["flag"], self.options)) if command else []
        by_variable = any(named(variables, name) for name in variables_for(action["flag"], self.options))
        if kind == "remove_flag":
            return not found and not by_variable
        return by_variable or any(value is None or arg.value == value for arg in found[-1:])

    def _with_words(self, action: dict[str, Any]) -> Deployment:
        """The same for a command line that no file declares."""
        if not self.words:
            return self
        from doctor.facts.config.argv import command_of
        from doctor.remedy.flags import occurrences, width
        from doctor.remedy.keys import CONTAINER_FLAGS
        from doctor.remedy.options import names_of, opposites_of

        command = command_of(self.words)
        if action["flag"] in CONTAINER_FLAGS or command is None or len(command.words) != len(self.words):
            return replace(self, broken=True)
        flag, setting = action["flag"], action["kind"] == "set_flag"
        names = names_of(flag, self.options)
        found = occurrences(command, names | (opposites_of(flag, self.options) if setting else set()))
        gone = {arg.position + i for arg in found for i in range(width(arg, command, names, self.options))}
        first = min((arg.position for arg in found), default=len(self.words))
        kept = [[word] if i not in gone else [] for i, word in enumerate(self.words)] + [[]]
        if setting:
            kept[first] = [flag] if action.get("value") is None else [flag, action["value"]]
        return replace(self, words=tuple(word for words in kept for word in words))


def is_diff(text: str) -> bool:
    """Whether a difference is one of files, which ``patch`` takes."""
    return bool(re.match(r"--- .*\n\+\+\+ ", text))
