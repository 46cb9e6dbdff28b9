"""From a set of configuration files to what they deploy: programs with their command lines, variables and limits.

``read_deployments`` needs no log. ``choose`` says which of the workloads wrote a log.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from doctor.facts.config.compose import read_compose
from doctor.facts.config.env import settings_of_env
from doctor.facts.config.kubernetes import read_kubernetes
from doctor.facts.config.launchd import read_launchd
from doctor.facts.config.llamaswap import read_llamaswap
from doctor.facts.config.modelfile import read_modelfile
from doctor.facts.config.places import Text
from doctor.facts.config.presets import read_presets
from doctor.facts.config.settings import settings_of
from doctor.facts.config.shell import read_script
from doctor.facts.config.sniff import form_of
from doctor.facts.config.systemd import read_units
from doctor.facts.config.workload import Trouble, Workload, environment
from doctor.vocabulary.facts import Fact, Layer, Origin

if TYPE_CHECKING:
    from doctor.facts.config.values import OptionLike

MAX_FILES = 500
# An interpreter or a script: what it starts can't be told from its name.
_OPAQUE = re.compile(r"(?:ba|da|z|a)?sh|python[\d.]*|tini|dumb-init|.*\.(?:sh|py)|entrypoint.*|start.*|run.*|serve.*")
_TELLING = ("setting.model_path", "setting.model_alias", "setting.port", "setting.context", "setting.tensor_parallel")


@dataclass(slots=True)
class Declared:
    """What configuration files declare.

    Attributes:
        workloads: programs, each with its settings' places.
        loose: environment files that no workload names: they may be of any.
        files: all that was read, by path.
    """

    workloads: list[Workload] = field(default_factory=list)
    loose: list[Text] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    files: dict[str, Text] = field(default_factory=dict)


def read_deployments(files: Iterable[Text], programs: Collection[str]) -> Declared:
    """Reads configuration files together, as they refer to each other.

    Args:
        files: Compose files, manifests, units and drop-ins, scripts, Modelfiles, environment files; others are
            passed over.
        programs: the names of engines' programs.

    Returns:
        What could be read. Nothing is raised: what could not be read is among the troubles.
    """
    declared = Declared(files={file.path: file for file in list(files)[:MAX_FILES]})
    forms: dict[str, list[Text]] = {}
    for file in declared.files.values():
        forms.setdefault(form_of(file.path, file.text), []).append(file)
    used: set[str] = set()

    def beside(path: str, name: str) -> Text | None:
        found = _find(declared.files, path, name)
        if found is not None:
            used.add(found.path)
        return found

    def take(what: str, read: Callable[[], tuple[list[Workload], list[Trouble]]]) -> None:
        try:
            workloads, troubles = read()
        except Exception as error:  # a crash inside one reader must not take the other files along
            message = f"could not be taken in: {type(error).__name__}: {error}"
            declared.troubles.append(Trouble(what, 1, message, "a defect of llmdoctor: please report it"))
            return
        declared.workloads += workloads
        declared.troubles += troubles

    def is_program(word: str) -> bool:
        return word.rsplit("/", 1)[-1] in programs

    compose, manifests, units = forms.get("compose", []), forms.get("kubernetes", []), forms.get("unit", [])
    if compose:
        take(compose[0].path, partial(read_compose, compose, beside, is_program))
    if manifests:
        take(manifests[0].path, partial(read_kubernetes, manifests, is_program))
    if units:
        take(units[0].path, partial(read_units, units, beside, is_program))
    for file in forms.get("launchd", []):
        take(file.path, partial(read_launchd, file, partial(beside, file.path), is_program))
    for file in forms.get("llama-swap", []):
        take(file.path, partial(read_llamaswap, file, partial(beside, file.path), is_program))
    for file in forms.get("presets", []):
        take(file.path, partial(read_presets, file))
    for file in forms.get("script", []):
        take(file.path, partial(read_script, file, partial(beside, file.path), is_program))
    for file in forms.get("modelfile", []):
        take(file.path, partial(read_modelfile, file))
    declared.loose = [file for file in forms.get("env", []) if file.path not in used]
    return declared


def _find(files: dict[str, Text], path: str, name: str) -> Text | None:
    """The file that ``path`` names ``name``: beside it, below any folder of the input, or the only one called so."""
    name = posixpath.normpath(name.replace("\\", "/"))
    near = posixpath.normpath(posixpath.join(posixpath.dirname(path), name))
    if near in files:
        return files[near]
    if name == ".env":  # of the project's folder alone
        return None
    tail = "/" + name.lstrip("./")
    same = [file for file in files.values() if f"/{file.path}".endswith(tail)]
    base = posixpath.basename(name)
    same = same or [file for file in files.values() if posixpath.basename(file.path) == base and file.path != path]
    return same[0] if len(same) == 1 else None


def settings_in(workload: Workload, options: Sequence[OptionLike]) -> tuple[list[Fact], set[str]]:
    """The facts of a workload, weakest first: limits, variables, command line; and the settings that it lacks."""
    facts = list(workload.facts)
    command = workload.command()
    for env in environment(workload.variables):
        facts += settings_of_env(env, options, Layer.ENVIRONMENT)
    if command is None:
        return facts, set()
    words = workload.words if len(command.words) == len(workload.words) else []

    def written(position: int) -> Origin | None:
        place = words[position].place if position < len(words) else None
        return Origin(place.path, place.line) if place else None

    found, _unknown, absent = settings_of(replace(command, env={}), options, workload.command_at(), written)
    given = {fact.name for fact in facts}
    return [*facts, *found], absent - given


def choose(
    workloads: Sequence[Workload],
    engines: Collection[str],
    programs: dict[str, str],
    path: str,
    said: Callable[[str], Any],
    options: Sequence[OptionLike],
) -> tuple[list[Workload], str]:
    """The workloads that a log is of: one, with the Modelfile of an ollama; or none, and why.

    Args:
        workloads: all that were declared.
        engines: the log's engine, and what it is built on.
        programs: engines by the names of their programs.
        path: the log's.
        said: the value of a setting as the log tells it; None when it does not.
        options: of the engine.
    """
    models = [each for each in workloads if each.kind == "modelfile"] if "ollama" in engines else []
    others = [each for each in workloads if each.kind != "modelfile"]
    known = {id(each): programs.get(program_of(each, programs)) for each in others}
    fitting = [each for each in others if known[id(each)] and (not engines or known[id(each)] in engines)]
    if not fitting:
        fitting = [each for each in others if known[id(each)] is None and _is_opaque(each)]
        if len(fitting) > 1:
            return models[:1] if len(models) == 1 else [], ""  # nothing says that any of them is the engine
    model = models if len(models) == 1 else []
    if len(fitting) < 2:
        return [*fitting, *model], ""
    scores = [_likeness(each, path, said, options) for each in fitting]
    best = [each for each, score in zip(fitting, scores, strict=True) if score == max(scores)]
    if len(best) == 1:
        return [*best, *model], ""
    names = ", ".join(each.name for each in best[:4]) + (", ..." if len(best) > 4 else "")
    return model, f"{len(best)} of the declared programs may have written it ({names}): no settings are taken from them"


def program_of(workload: Workload, programs: Collection[str]) -> str:
    """The program that a workload starts; of a drop-in alone, what its unit's name says."""
    command = workload.command()
    if command is not None:
        return command.program
    return next((name for name in workload.names if name in programs), "")


def _is_opaque(workload: Workload) -> bool:
    command = workload.command()
    if command is None:
        return workload.kind == "systemd"
    return bool(_OPAQUE.fullmatch(command.program))


def _likeness(workload: Workload, path: str, said: Callable[[str], Any], options: Sequence[OptionLike]) -> int:
    """How much of what the log says agrees with a workload: its name, model, port, ..."""
    parts = set(re.split(r"[/\\.:]", path.lower()))
    score = 4 if any(name.lower() in parts for name in workload.names) else 0
    declared = {fact.name: fact.value for fact in settings_in(workload, options)[0]}
    for name in _TELLING:
        told, value = said(name), declared.get(name)
        if told is not None and value is not None:
            same = str(told).rsplit("/", 1)[-1] == str(value).rsplit("/", 1)[-1]
            score += 2 if same else -2
    return score
