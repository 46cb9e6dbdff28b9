"""What a person asks for: a model's path, a command line and a machine by name -> the plan document."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from doctor.errors import UsageProblem
from doctor.model.read import read_model
from doctor.planning.document import PlanDocument
from doctor.planning.measure import is_available, measure
from doctor.planning.plan import RANK_ENGINES, plan
from doctor.planning.target import keeping, read_target


def plan_request(
    model: str | Path | None = None,
    *,
    command: str | None = None,
    target: str | Path | None = None,
    reserve: int = 0,
) -> PlanDocument:
    """What a model takes on a machine, whether it fits, and which settings would.

    Args:
        model: a GGUF file, a Hugging Face folder, ..., as ``doctor.model.read.read_model`` takes them; without it the
            one that the command line names.
        command: the engine's command line.
        target: a probe document, a YAML file, the name of an example; None: this machine.
        reserve: bytes to leave free on every device at the least.

    Raises:
        UsageProblem: one of them can't be read, or no model is named.
    """
    engine, settings, unknown = settings_from_command(command) if command else ("llama.cpp", {}, [])
    path = model or settings.get("setting.model_path")
    if not path:
        hint = "name a file or folder, or give a command line with the engine's model option"
        raise UsageProblem("which model?", hint=hint)
    beside = {
        name: read_model(str(settings[key]))
        for name, key in (("projector", "setting.mmproj_path"), ("draft", "setting.draft_model_path"))
        if settings.get(key)
    }
    machine = keeping(read_target(None if target is None else str(target)), reserve)
    ask_engine = None
    if target is None and engine not in RANK_ENGINES | {"ktransformers"} and is_available() and _is_gguf(Path(path)):
        ask_engine = partial(measure, Path(path))
    document = plan(read_model(path), settings, machine, engine, ask_engine=ask_engine, **beside)
    document.problems += [f"--command: {word} is no option that is known here, and does not count" for word in unknown]
    return document


def _is_gguf(path: Path) -> bool:
    """Whether it is a model that llama.cpp itself can open: not numbers, nor a folder, nor a part."""
    with suppress(OSError), path.open("rb") as file:
        return file.read(4) == b"GGUF"
    return False


def settings_from_command(text: str) -> tuple[str, dict[str, Any], list[str]]:
    """Engine, ``setting.*`` facts, and what the engine does not know, of a command line.

    Raises:
        UsageProblem: no command line.
    """
    from doctor.facts.config.argv import parse_command
    from doctor.facts.config.argv import settings_of as options_in
    from doctor.facts.options import KnownOption
    from doctor.rulebook.book import load_book
    from doctor.vocabulary.facts import ABSENT, Origin

    command = parse_command(text)
    if command is None:
        hint = "check the quotes; give it as one argument"
        raise UsageProblem("not a command line that can be read", subject="--command", hint=hint)
    book = load_book()
    engine = "sglang" if command.program.startswith("sglang") else book.programs().get(command.program, "llama.cpp")
    names = [engine, *book.bases(engine)]
    listed = [option for name in names for option in book.dialects.get(name, {}).get("options", [])]
    if engine == "sglang" and not listed:
        from doctor.planning.ranks import SGLANG_OPTIONS

        listed = list(SGLANG_OPTIONS)
    known = [KnownOption(**option) for option in listed]
    facts, unknown, _ = options_in(command, known, Origin("--command"))
    found = {f"env.{name}": value for name, value in command.env.items()}
    found |= {fact.name: fact.value for fact in facts if fact.value is not ABSENT}
    return engine, found, [str(word) for word in unknown]
