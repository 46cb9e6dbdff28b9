"""What a person asks for: a model's path, a command line and a machine by name -> the plan document."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from doctor.errors import UsageProblem
from doctor.model.read import read_model
from doctor.planning.document import PlanDocument
from doctor.planning.measure import is_available, measure
from doctor.planning.nodes import endpoints_of, together
from doctor.planning.plan import RANK_ENGINES, plan
from doctor.planning.target import Target, keeping, read_target


def plan_request(
    model: str | Path | None = None,
    *,
    command: str | None = None,
    target: str | Path | Sequence[str | Path] | None = None,
    reserve: int = 0,
) -> PlanDocument:
    """What a model takes on a machine, whether it fits, and which settings would.

    Args:
        model: a GGUF file, a Hugging Face folder, ..., as ``doctor.model.read.read_model`` takes them; without it the
            one that the command line names.
        command: the engine's command line.
        target: a probe document, a YAML file, the name of an example, or ``this``; None: this machine. Several for RPC
            workers and ranks on other machines, the one that the engine starts on first.
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
    names = [target] if isinstance(target, (str, Path)) else list(target or ())
    machine, assumed = _machine([str(name) for name in names], settings, reserve, engine)
    ask_engine = None
    if not names and engine not in RANK_ENGINES | {"ktransformers"} and is_available() and _is_gguf(Path(path)):
        ask_engine = partial(measure, Path(path))
    document = plan(read_model(path), settings, machine, engine, ask_engine=ask_engine, **beside)
    document.notes += assumed
    if rpc := settings.get("setting.rpc") if machine.others else None:
        for flags in (document.flags, *(option.flags for option in document.options if option.flags)):
            flags += ["--rpc", ",".join(map(str, rpc))]
    document.problems += [f"--command: {word} is no option that is known here, and does not count" for word in unknown]
    return document


def _machine(names: Sequence[str], settings: dict[str, Any], reserve: int, engine: str) -> tuple[Target, list[str]]:
    """The machines as one, and what was assumed of them. Without ``--rpc`` further ones are taken as RPC workers."""
    targets = [keeping(target, reserve) for target in [read_target(name) for name in names] or [read_target(None)]]
    by_rank, notes = engine in RANK_ENGINES, []
    if len(targets) > 1 and not by_rank and not settings.get("setting.rpc"):
        settings["setting.rpc"] = endpoints_of(targets)
        notes.append("The further machines are taken as RPC workers of the first: rpc-server runs on each of them.")
    machine = together(targets, settings.get, by_rank=by_rank)
    unused = [target.name for target in targets[1:] if target.name not in machine.others]
    notes += [f"{name} is not used: the devices of the machines before it are enough." for name in unused if by_rank]
    notes += [f"{name} is not used: --rpc names no worker for it." for name in unused if not by_rank]
    workers = settings.get("setting.rpc")
    if isinstance(workers, (list, tuple)) and len(workers) >= len(targets):
        rest = ", ".join(map(str, workers[len(targets) - 1 :]))
        notes.append(f"Nothing is known of the workers {rest}: give one --target more for each, in their order.")
    return machine, notes


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
