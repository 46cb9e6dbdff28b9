"""llama-swap's configuration (its docs/configuration.md): one command line a model, with macros and variables."""

from __future__ import annotations

from collections.abc import Callable

from doctor.facts.config.containers import read_container
from doctor.facts.config.places import Text, Word
from doctor.facts.config.shell import Find, launched
from doctor.facts.config.words import tokens, words_of
from doctor.facts.config.workload import Trouble, Variable, Workload
from doctor.facts.config.yamltext import Mapping, Scalar, UnreadableYAMLError, inside, parse, place_of

MAX_MODELS = 500


def read_llamaswap(file: Text, find: Find, is_program: Callable[[str], bool]) -> tuple[list[Workload], list[Trouble]]:
    """A workload for each model. A macro that is not defined in the file (``${PORT}``) stays as it is written."""
    troubles: list[Trouble] = []
    try:
        tree = parse(file.text)
    except UnreadableYAMLError as error:
        return [], [Trouble(file.path, error.line, error.message, error.hint)]
    models = tree.map("models") if isinstance(tree, Mapping) else None
    if not isinstance(tree, Mapping) or models is None:
        return [], []
    shared = _macros(tree)
    found: list[Workload] = []
    for name, (key, node) in list(models.all().items())[:MAX_MODELS]:
        command = node.scalar("cmd") if isinstance(node, Mapping) else None
        if not isinstance(node, Mapping) or command is None:
            troubles.append(Trouble(file.path, key.line, f"the model {name} has no cmd", "cmd: llama-server ..."))
            continue
        workload = Workload("llama-swap", f"model {name}", file.path, key.line, (name,), node=node)
        workload.variables = list(_variables(node, file))
        macros = shared | _macros(node)
        try:
            words = _words(command, file, macros)
        except ValueError:
            message = f"the cmd of {name} could not be read"
            troubles.append(Trouble(file.path, command.line, message, "check its quotes"))
            continue
        workload.declared = True
        workload.words = launched(words, workload.variables, find, is_program)
        read_container(workload, find, troubles)
        found.append(workload)
    return found, troubles


def _words(command: Scalar, file: Text, macros: dict[str, Word]) -> list[Word]:
    """Raises ValueError: a quote is not closed."""

    def lookup(macro: str) -> Word:
        return macros.get(macro) or Word(f"${{{macro}}}")

    locate = inside(command, file)
    written = list(tokens(command.value, comments=True, newlines=False))
    return [word for token in written for word in words_of(token, command.value, lookup, locate)]


def _macros(node: Mapping) -> dict[str, Word]:
    macros = node.map("macros")
    pairs = macros.all().items() if macros else ()
    return {name: Word(value.value) for name, (_, value) in pairs if isinstance(value, Scalar)}


def _variables(node: Mapping, file: Text) -> list[Variable]:
    """``env: ["NAME=value"]``"""
    found = []
    for item in node.list("env"):
        if isinstance(item, Scalar) and "=" in item.value:
            name, _, value = item.value.partition("=")
            entry = place_of(item, file, "item")
            found.append(Variable(name, value, file.path, item.line, "item", None, entry))
    return found
