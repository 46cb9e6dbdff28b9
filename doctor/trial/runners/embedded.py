"""llama-cpp-python in a child process: a native abort ends the child, not llmdoctor."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from doctor.errors import UsageProblem
from doctor.trial.launch import Child, NotStarted
from doctor.trial.runners import Clocks, Stage, Trial, drive, finish
from doctor.trial.runners.command import drop_pages, hurt, start, start_beside
from doctor.trial.setup import Setup
from doctor.trial.workload import Answer, Outcome, Workload

_ARGUMENTS = {
    "setting.model_path": "model_path",
    "setting.context": "n_ctx",
    "setting.batch": "n_batch",
    "setting.ubatch": "n_ubatch",
    "setting.gpu_layers": "n_gpu_layers",
    "setting.threads": "n_threads",
    "setting.threads_batch": "n_threads_batch",
    "setting.kv_type_k": "type_k",
    "setting.kv_type_v": "type_v",
    "setting.flash_attention": "flash_attn",
    "setting.mmap": "use_mmap",
    "setting.mlock": "use_mlock",
    "setting.kv_offload": "offload_kqv",
    "setting.main_gpu": "main_gpu",
    "setting.rpc": "rpc",
}
"""Canonical settings and the parameters of ``llama_cpp.Llama`` that they are."""
_MOST_PROGRESS = 4 * 1024 * 1024


def is_here(pythonpath: str | None = None) -> bool:
    """Whether llama-cpp-python can be imported (it is not: its import alone loads the engine)."""
    if pythonpath and any((Path(folder) / "llama_cpp" / "__init__.py").is_file() for folder in pythonpath.split(":")):
        return True
    return importlib.util.find_spec("llama_cpp") is not None


def arguments_of(setup: Setup) -> dict[str, Any]:
    """What ``Llama`` is called with for a command line of llama.cpp's or llama-cpp-python's own.

    Raises:
        UsageProblem: the command names no model.
    """
    from doctor.facts.config.settings import settings_of
    from doctor.facts.options import KnownOption
    from doctor.rulebook.book import load_book
    from doctor.vocabulary.facts import Origin

    command = setup.command
    book = load_book()
    names = ["llama.cpp"]
    if command is not None and book.programs().get(command.program) == "llama-cpp-python":
        names.insert(0, "llama-cpp-python")
    options = [KnownOption(**option) for name in names for option in book.dialects[name]["options"]]
    found: dict[str, Any] = {"n_ctx": 0}
    if command is not None:
        facts, _unknown, _absent = settings_of(command, options, Origin("--command"))
        found |= {_ARGUMENTS[fact.name]: fact.value for fact in facts if fact.name in _ARGUMENTS}
        found |= _load_mode(next((fact.value for fact in facts if fact.name == "setting.load_mode"), None))
        found["embedding"] = any(fact.name == "setting.embeddings" and fact.value for fact in facts)
    if "model_path" not in found:
        raise UsageProblem("the command names no model", subject=setup.text, hint="-m MODEL")
    for name in ("flash_attn",):
        if name in found:
            found[name] = found[name] in {True, "on", "1", "true"}
    return found


def _load_mode(mode: Any) -> dict[str, bool]:
    if mode is None:
        return {}
    return {"use_mmap": mode in {"auto", "mmap", "mmap+mlock"}, "use_mlock": mode in {"mlock", "mmap+mlock"}}


def run(setup: Setup, workload: Workload, folder: Path, clocks: Clocks, stage: Stage) -> Trial:
    trial = Trial(setup, workload, folder)
    progress = folder / "progress"
    request = folder / "request"
    with ExitStack() as stack:
        try:
            asked = {
                "arguments": arguments_of(setup),
                "verbose": setup.verbose,
                "workload": workload.name,
                "tokens": workload.tokens,
                "answer": workload.answer,
                "progress": str(progress.absolute()),
            }
            request.write_text(json.dumps(asked), encoding="utf-8")
            if not is_here(setup.env.get("PYTHONPATH")):
                trial.not_run = "llama-cpp-python is not installed\n  hint: pip install 'llmdoctor-inference[rerun]'"
                return trial
            neighbours = start_beside(setup, folder, stack, clocks)
            drop_pages(setup)
            child = stack.enter_context(start(_as_child(setup, request), folder, clocks))
        except (NotStarted, UsageProblem) as problem:
            trial.not_run = str(problem)
            return trial
        session = _Session(child, progress, clocks)
        drive(trial, child, session, clocks, stage, lambda when: hurt(setup, neighbours, when))
        finish(trial, child)
    return trial


def _as_child(setup: Setup, request: Path) -> Setup:
    words = (sys.executable, str(Path(__file__).with_name("embedded_child.py")), str(request.absolute()))
    env = {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", **setup.env}
    return replace(setup, words=words, env=env)


class _Session:
    """The child's progress file, read as it grows."""

    def __init__(self, child: Child, progress: Path, clocks: Clocks) -> None:
        self.child, self.progress, self.clocks = child, progress, clocks

    def entries(self) -> list[dict[str, Any]]:
        try:
            lines = self.progress.read_bytes()[:_MOST_PROGRESS].split(b"\n")
        except OSError:
            return []
        found = []
        for line in lines[:-1]:  # what follows the last newline is still being written
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                found.append(entry)
        return found

    def stages(self) -> set[str]:
        return {str(entry.get("stage")) for entry in self.entries()}

    def is_ready(self) -> bool:
        return "loaded" in self.stages()

    def work(self, workload: Workload, alive: Callable[[], bool], stage: Stage, begun: Callable[[], None]) -> Outcome:
        stage(workload.words)
        asked = workload.words
        told = False
        done, silent = 0, 0.0
        while True:
            ended = self.child.ending(0.1)
            entries = self.entries()
            stages = {str(entry.get("stage")) for entry in entries}
            if not told and stages & {"generating", "answer"}:
                told = True
                begun()
            silent = 0.0 if len(entries) > done else silent + 0.1
            done = len(entries)
            if "done" in stages or ended is not None:
                break
            if silent > self.clocks.stall and not self._is_busy():
                stalled = Answer(asked, error=f"no sign of life in {self.clocks.stall:g} s", stalled=True)
                return Outcome([stalled])
        answers = [_answer(entry) for entry in entries if entry.get("stage") == "answer"]
        if "done" not in stages:
            return Outcome(answers, stopped_by="the engine ended before the workload was through")
        return Outcome(answers)

    def _is_busy(self) -> bool:
        """Whether it computes: a long answer shows no other sign of life."""
        import psutil

        try:
            process = psutil.Process(self.child.pid)
            process.cpu_percent()
            return process.cpu_percent(0.5) > 2
        except psutil.Error:
            return False


def _answer(entry: dict[str, Any]) -> Answer:
    def number(name: str) -> float | None:
        value = entry.get(name)
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None

    return Answer(
        str(entry.get("asked", "")),
        status=200,
        tokens=int(number("tokens") or 0),
        first=number("first"),
        rate=number("rate"),
        seconds=number("seconds") or 0.0,
    )
