"""An engine's own program, started as it is deployed; a server is asked over HTTP, another program runs to its end."""

from __future__ import annotations

import os
import signal as signals
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from doctor.errors import UsageProblem
from doctor.trial.launch import Child, Launch, Limits, NotStarted, launch
from doctor.trial.runners import ENGINE_LOG, Clocks, Stage, Trial, drive, finish
from doctor.trial.setup import Beside, Setup, address_of
from doctor.trial.workload import Client, Outcome, Workload, is_open, put

if TYPE_CHECKING:
    from doctor.facts.config.argv import Command

_PORTS = {
    "llama-server": 8080,
    "llama-box": 8080,
    "ollama": 11434,
    "vllm": 8000,
    "vllm.entrypoints.openai.api_server": 8000,
    "llama_cpp.server": 8000,
    "sglang": 30000,
    "sglang.launch_server": 30000,
    "ktransformers": 10002,
    "ktransformers.server.main": 10002,
    "koboldcpp": 5001,
}
"""Servers, and the port that each takes by itself (their own documentation)."""
_RPC_SERVERS = frozenset({"rpc-server", "ggml-rpc-server", "llama-box-rpc-server"})
_BESIDE_SECONDS = 20.0
_TALKATIVE: Mapping[str, str] = {"LLAMA_ARG_LOG_VERBOSITY": "4", "LLAMA_LOG_VERBOSITY": "4", "GGML_NO_BACKTRACE": "1"}
"""Set in every trial, before and after: llama-server hides buffers and settings below this level, and gdb in an abort
pours hundreds of lines into the log. A deployment's own value wins."""


def run(setup: Setup, workload: Workload, folder: Path, clocks: Clocks, stage: Stage) -> Trial:
    trial = Trial(setup, workload, folder)
    with ExitStack() as stack:
        try:
            neighbours = start_beside(setup, folder, stack, clocks)
            drop_pages(setup)
            child = stack.enter_context(start(setup, folder, clocks))
        except NotStarted as problem:
            trial.not_run = str(problem)
            return trial
        except UsageProblem as problem:
            trial.not_run = str(problem)
            return trial
        address = serves_at(setup)
        trial.address = f"{address[0]}:{address[1]}" if address else ""
        session: Served | Listening | ToItsEnd
        if address is not None and is_rpc_server(setup):
            session = Listening(*address)
        elif address is not None:
            session = Served(Client(*address, stall=clocks.stall))
        else:
            session = ToItsEnd(child, clocks)
        drive(trial, child, session, clocks, stage, lambda when: hurt(setup, neighbours, when))
        if isinstance(session, ToItsEnd):
            _judge_end(trial)
        finish(trial, child)
    return trial


def environment(setup: Setup) -> dict[str, str]:
    """llmdoctor's own, the setup's on top."""
    found = {**_TALKATIVE, **os.environ}
    for name, value in setup.env.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = value
    return found


def start(setup: Setup, folder: Path, clocks: Clocks) -> Child:
    limits = Limits(
        deadline=clocks.deadline,
        memory=setup.memory,
        address_space=setup.address_space,
        locked_memory=setup.locked_memory,
    )
    return launch(Launch(setup.words, environment(setup), setup.folder, folder / ENGINE_LOG), limits)


def start_beside(setup: Setup, folder: Path, stack: ExitStack, clocks: Clocks) -> list[Child]:
    """Starts what runs beside, and waits until each listens.

    Raises:
        NotStarted, UsageProblem: one does not.
    """
    found = []
    for number, beside in enumerate(setup.beside, 1):
        output = folder / f"beside-{number}.log"
        limits = Limits(deadline=clocks.deadline + 60, memory=beside.memory, address_space=beside.address_space)
        own = Setup(beside.words, beside.env, setup.folder)
        child = stack.enter_context(launch(Launch(beside.words, environment(own), setup.folder, output), limits))
        found.append(child)
        if beside.address is not None:
            _wait_for(beside, child)
    return found


def _wait_for(beside: Beside, child: Child) -> None:
    host, port = address_of(beside.address or "", "beside")
    end = time.monotonic() + _BESIDE_SECONDS
    while not is_open(host, port):
        ended = child.ending(0.05)
        if ended is not None or time.monotonic() > end:
            what = f"ended with {ended.signal or ended.status}" if ended else f"does not listen at {beside.address}"
            raise UsageProblem(f"what runs beside the engine {what}", subject=" ".join(beside.words))


def hurt(setup: Setup, children: list[Child], when: str) -> None:
    """Does to the neighbours what the setup asks for at this point."""
    for beside, child in zip(setup.beside, children, strict=True):
        if beside.fault is not None and beside.at == when:
            child.signal(signals.SIGKILL if beside.fault == "kill" else signals.SIGSTOP)


def drop_pages(setup: Setup) -> None:
    """Takes the model's file out of the page cache, so that it is read from the disk again; only that file."""
    model = setup.model()
    if not setup.cold or model is None or not hasattr(os, "posix_fadvise"):
        return
    files = [model] if model.is_file() else [path for path in model.iterdir() if path.is_file()]
    for file in files:
        with suppress(OSError), file.open("rb") as stream:
            os.fsync(stream.fileno())
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def serves_at(setup: Setup) -> tuple[str, int] | None:
    """Where the program will listen; None for one that is no server."""
    command = setup.command
    if command is None:
        return None
    known = _PORTS.get(command.program.removesuffix(".exe"))
    if known is None and not is_rpc_server(setup) and command.value("--port") is None:
        return None
    env = {**command.env, **{name: value for name, value in setup.env.items() if value}}
    if command.program == "ollama":
        if "serve" not in command.words:
            return None
        host, _, port = env.get("OLLAMA_HOST", "").removeprefix("http://").rstrip("/").partition(":")
        return _reachable(host), int(port) if port.isdecimal() else 11434
    flags = ("--port", "-p") if is_rpc_server(setup) else ("--port",)
    port = command.value(*flags) or env.get("LLAMA_ARG_PORT") or env.get("PORT") or ""
    host = command.value("--host", "-H") or env.get("LLAMA_ARG_HOST") or env.get("HOST") or ""
    default = 50052 if is_rpc_server(setup) else known or 8080
    return _reachable(host), int(port) if port.isdecimal() and 0 < int(port) < 65536 else default


def is_rpc_server(setup: Setup) -> bool:
    command: Command | None = setup.command
    return command is not None and command.program.removesuffix(".exe") in _RPC_SERVERS


def _reachable(host: str) -> str:
    """An address that a client can use for one that a server binds to."""
    return "127.0.0.1" if host in {"", "0.0.0.0", "::", "*", "localhost"} else host.strip("[]")  # noqa: S104


class Served:
    """A server over HTTP."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def is_ready(self) -> bool:
        return self.client.state() == "ready"

    def work(self, workload: Workload, alive: Callable[[], bool], stage: Stage, begun: Callable[[], None]) -> Outcome:
        self.client.begun = begun
        return put(workload, self.client, alive, stage)


class Listening:
    """An RPC worker: it is ready when it listens, and has no requests of its own to answer."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port

    def is_ready(self) -> bool:
        return is_open(self.host, self.port)

    def work(self, workload: Workload, alive: Callable[[], bool], stage: Stage, begun: Callable[[], None]) -> Outcome:
        del workload, stage, begun
        time.sleep(0.2)  # what it has to refuse, such as a port in use, it refuses at once
        return Outcome() if alive() else Outcome(stopped_by="it ended")


class ToItsEnd:
    """A program that works by itself (llama-cli, llama-bench): its workload is its own, and its end is what counts."""

    def __init__(self, child: Child, clocks: Clocks) -> None:
        self.child, self.clocks = child, clocks

    def is_ready(self) -> bool:
        return True

    def work(self, workload: Workload, alive: Callable[[], bool], stage: Stage, begun: Callable[[], None]) -> Outcome:
        del workload, alive
        stage("running to its end")
        begun()
        if self.child.ending(self.clocks.deadline) is None:
            return Outcome(stopped_by="it did not end in time")
        return Outcome()


def _judge_end(trial: Trial) -> None:
    """A program that works by itself was ready when it ended well; the time until then is no load time."""
    ending = trial.ending
    if ending is None or ending.why == "deadline":
        trial.hung = True
    elif ending.status != 0:
        trial.outcome.stopped_by = trial.outcome.stopped_by or f"it ended with {ending.signal or ending.status}"
