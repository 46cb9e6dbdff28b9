"""Programs that start an engine with settings of their own, which no file of the deployment shows.

Sources: ``flash-moe`` of ipex-llm's archives adds its flags to every command line; its dialect lists them. GPUStack's
worker/backends/llama_box.py (0.3.1 to 0.7.1) puts ``--ctx-size 8192 --parallel 4 --no-mmap`` on every command line,
0.6.0 without ``--no-mmap`` (pull request 1767); it serves GGUF files with llama-box and other models with vLLM.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from doctor.facts.catalogue import load_catalogue
from doctor.facts.convert import convert
from doctor.vocabulary.facts import ABSENT, Fact, Layer, Origin

if TYPE_CHECKING:
    from doctor.checking.reading import Deployments
    from doctor.facts.config.workload import Workload
    from doctor.model.document import Model
    from doctor.rulebook.book import RuleBook
    from doctor.scan.runs import Run

GPUSTACK = "gpustack"
MAX_LINE = 16 * 1024


def implied(run: Run, workload: Workload | None, deployments: Deployments, book: RuleBook) -> Iterator[Fact]:
    """What the engine's dialect reads from a command line as it is logged: constants, not captures."""
    if workload is not None:
        words, origin = workload.texts, workload.command_at()
    elif deployments.command is not None:
        words, origin = deployments.command.words, Origin("--command")
    else:
        return
    line = shlex.join(words)[:MAX_LINE]
    for fact_line in book.dialects.get(run.engine or "", {}).get("facts", []):
        constants = {name: text[1:] for name, text in fact_line["set"].items() if text.startswith("=")}
        if constants and re.search(fact_line["pattern"], line):
            for name, text in constants.items():
                value: Any = convert(text, load_catalogue().type_of(name) or "str")
                if value is not ABSENT:
                    yield Fact(name, value, Origin(origin.path, origin.line, Layer.COMMAND_LINE))


def started_by_gpustack(run: Run, model: Model, book: RuleBook) -> None:
    """Makes the run that of the engine which GPUStack starts for this model."""
    engine = "vllm" if model.source == "huggingface" else "llama-box"
    run.wrapper, run.engine, run.product = GPUSTACK, engine, engine
    run.engines = [engine, *book.bases(engine), GPUSTACK]


def placed_by_gpustack(run: Run, workload: Workload | None) -> Iterator[Fact]:
    """The settings with which GPUStack starts llama-box."""
    if workload is None or run.wrapper != GPUSTACK or run.engine != "llama-box":
        return
    origin = Origin("GPUStack's command line", None, Layer.FILE)
    yield Fact("setting.context", 8192, origin)
    yield Fact("setting.slots", 4, origin)
    yield Fact("setting.mmap", (run.versions.get(GPUSTACK) or "").removeprefix("v") == "0.6.0", origin)
