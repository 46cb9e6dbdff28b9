"""What containers are given: memory, /dev/shm, GPUs; and the options of a ``docker run`` in a script."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from doctor.facts.config.dotenv import variables_of
from doctor.facts.config.places import Place, Text, Word
from doctor.facts.config.workload import Trouble, Variable, Workload, container_size
from doctor.facts.config.wrappers import ASSIGNMENT, CONTAINER_TOOLS, ContainerOption, container_options
from doctor.vocabulary.facts import Fact, Layer, Origin

# of a container that asks for none: docs.docker.com/reference/cli/docker/container/run (--shm-size); so in containerd
DEFAULT_SHM = 64 * 1024 * 1024
_GPU_NODE = re.compile(r"/dev/(?:kfd|dri|nvidia|davinci|dxg)|nvidia\.com/gpu")


def default_shared_memory(workload: Workload, line: int) -> None:
    """A container's own /dev/shm, when it neither asks for a size nor shares that of the host."""
    origin = Origin(workload.path, line, Layer.DEFAULT)
    workload.facts.append(Fact("host.shm_size", DEFAULT_SHM, origin))


def request_gpus(workload: Workload, what: str, path: str, line: int) -> None:
    """Notes which GPUs a container asks for: a number, ``all``, ids, or ``none``."""
    workload.facts.append(Fact("setting.gpu_request", what, Origin(path, line, Layer.FILE)))


def gpu_device(paths: Iterable[str]) -> str | None:
    """The device nodes among ``paths`` that give a container a GPU."""
    found = [path.split(":", 1)[0] for path in paths if _GPU_NODE.match(path)]
    return ",".join(found) or None


def memory_lock(text: str) -> int | None:
    """The limit of ``memlock=-1:-1`` in bytes; -1 is none."""
    found = re.fullmatch(r"(?:memlock=)?(-?\d{1,18})(?::-?\d+)?", text.strip())
    return int(found[1]) if found else None


def read_container(workload: Workload, find: Callable[[str], Text | None], troubles: list[Trouble]) -> None:
    """Completes a command of a script that is a ``docker run``: what the container is given, and its variables."""
    texts = workload.texts
    at = next((i for i, text in enumerate(texts[:8]) if text.rsplit("/", 1)[-1] in CONTAINER_TOOLS), None)
    found = container_options(texts, at) if at is not None else None
    if found is None:
        return
    options, image_at = found
    workload.image = texts[image_at]
    exported = {variable.name: variable for variable in workload.variables}
    workload.variables = []
    line = workload.line
    shared = gpus = False
    for option in options:
        place = workload.words[option.last].place
        line = place.line if place else line
        _variable(workload, option, exported, find, troubles)
        if place is None:
            continue
        size = container_size(option.value)
        if option.flag in {"-m", "--memory"} and size:
            workload.limit("host.cgroup_limit", size, place)
            workload.places["memory"] = _value_place(workload.words[option.last], option.value) or place
        elif option.flag == "--shm-size" and size:
            workload.limit("host.shm_size", size, place)
            workload.places["shm"] = _value_place(workload.words[option.last], option.value) or place
            shared = True
        elif option.flag == "--ipc" and option.value != "private":
            shared = True
        elif option.flag == "--ulimit" and option.value.startswith("memlock="):
            if (limit := memory_lock(option.value)) is not None:
                workload.limit("host.memlock_limit", limit, place)
        elif option.flag == "--gpus" or (option.flag == "--device" and gpu_device([option.value])):
            request_gpus(workload, option.value.strip("\"'").removeprefix("device="), place.path, place.line)
            gpus = True
        elif option.flag in {"-v", "--volume"} and ":" in option.value:
            source, target, *_ = option.value.split(":")
            workload.mounts.append((source, target))
        elif option.flag == "--runtime" and option.value == "nvidia":
            request_gpus(workload, "all", place.path, place.line)
            gpus = True
    if not shared:
        default_shared_memory(workload, workload.line)
    if not gpus:
        request_gpus(workload, "none", workload.path, workload.line)


def _variable(
    workload: Workload,
    option: ContainerOption,
    exported: dict[str, Variable],
    find: Callable[[str], Text | None],
    troubles: list[Trouble],
) -> None:
    if option.flag == "--env-file":
        file = find(option.value)
        workload.variables[:0] = variables_of(file, "docker", troubles) if file else []
    if option.flag not in {"-e", "--env"}:
        return
    first, last = workload.words[option.first].place, workload.words[option.last].place
    assigned = ASSIGNMENT.fullmatch(option.value)
    if assigned is None:  # passed through
        if option.value in exported:
            workload.variables.append(exported[option.value])
        return
    entry = Place(first.path, first.line, first.start, last.end) if first and last else None
    place = _value_place(workload.words[option.last], assigned["value"])
    line = last.line if last else workload.line
    workload.variables.append(Variable(assigned["name"], assigned["value"], workload.path, line, "word", place, entry))


def _value_place(word: Word, value: str) -> Place | None:
    """Where the value at the end of a word stands: of ``--shm-size=2g``, the ``2g``."""
    return word.inside(len(word.text) - len(value), len(word.text)) if word.inside else None
