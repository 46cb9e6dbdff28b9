"""Container images of engines: what runs when only options are given.

Sources: the ENTRYPOINT of each project's Dockerfile. vllm docker/Dockerfile: ``vllm serve``, before that ``python3 -m
vllm.entrypoints.openai.api_server``, which takes the same options. ollama Dockerfile: ``/bin/ollama`` with ``serve``.
llama.cpp .devops/*.Dockerfile: ``/app/llama-server``, ``/app/llama-cli``, and ``/app/tools.sh`` of the full image.
text-generation-inference Dockerfile: ``text-generation-launcher``. gpustack: ``gpustack start``. The image of SGLang
starts nothing by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_NAMES = (
    (re.compile(r"llama\.cpp:light\b"), ("llama-cli",)),
    (re.compile(r"llama\.cpp:full\b"), ("tools.sh",)),
    (re.compile(r"llama\.cpp\b.*server|llama-cpp-server|llama-server|llama\.cpp(?:$|[:@/])"), ("llama-server",)),
    (re.compile(r"text-generation-inference"), ("text-generation-launcher",)),
    (re.compile(r"vllm(?!-router)"), ("vllm", "serve")),
    (re.compile(r"sglang(?!-router|_router)"), ("sglang.launch_server",)),
    (re.compile(r"gpustack"), ("gpustack", "start")),
    (re.compile(r"llama-box"), ("llama-box",)),
    (re.compile(r"ollama"), ("ollama",)),
)
# What has an engine's name in its own and is none: frontends, proxies, exporters.
_NOT = re.compile(r"web-?ui|proxy|router|exporter|litellm|gateway|benchmark|client|frontend|dashboard", re.I)
_TOOLS = {"--server": "llama-server", "-s": "llama-server", "--run": "llama-cli", "-r": "llama-cli"}
_RUNS_SOMETHING = re.compile(
    r"(?:.*/)?(?:python[\d.]*|sh|bash|env|exec|numactl|nohup|uv|ray|torchrun|tini|dumb-init)|/\S*|[\w.-]+\.(?:sh|py)"
)


def entrypoint(image: str) -> tuple[str, ...]:
    """The words that the image puts before what it is given; empty when the image is not one of an engine.

    Args:
        image: ``vllm/vllm-openai:v0.8.5``; the registry, the user and the tag may be any.
    """
    name = image.split("@", 1)[0].lower()
    if _NOT.search(name.rsplit("/", 1)[-1].split(":", 1)[0]):
        return ()
    return next((words for pattern, words in _NAMES if pattern.search(name)), ())


def started(
    image: str, given: Sequence[str], is_program: Callable[[str], bool] = lambda _: False
) -> tuple[tuple[str, ...], int]:
    """What an image runs.

    Args:
        image: its name.
        given: the words of the container's command.
        is_program: whether a word is the name of an engine's program.

    Returns:
        The words to put before those given, and how many of those given they take the place of.
    """
    words = entrypoint(image)
    if words == ("tools.sh",):
        tool = _TOOLS.get(given[0]) if given else None
        return ((tool,), 1) if tool else ((), 0)
    if given and (_RUNS_SOMETHING.fullmatch(given[0]) or (is_program(given[0]) and not given[0].startswith("-"))):
        return (), 0  # an image of one's own that has no entrypoint, or a command that repeats it
    if not given:
        return ("ollama", "serve") if words == ("ollama",) else words, 0
    return words, 0
