"""Sizes and new keys of what is deployed, changed in the file where they stand."""

from __future__ import annotations

import re
from collections.abc import Mapping as Files

from doctor.facts.config.places import Text
from doctor.facts.config.workload import Workload
from doctor.facts.config.wrappers import CONTAINER_TOOLS
from doctor.facts.config.yamltext import Items, Mapping, end_of
from doctor.remedy.edits import CannotEditError, Edit, indentation, line_start, new_line, rewritten
from doctor.units import GIB, MIB

CONTAINER_FLAGS = frozenset({"--ipc", "--gpus", "--runtime"})  # of docker, never of an engine
_RESOURCES = {"/dev/shm": "shm", "container memory limit": "memory"}  # noqa: S108
_UNITS = {"compose": ("gb", "mb"), "kubernetes": ("Gi", "Mi"), "systemd": ("G", "M"), "script": ("g", "m")}


def new_key(node: Mapping, file: Text, text: str) -> Edit:
    """A key behind the last one of a mapping; further lines are indented like the first."""
    if node.flow:
        if "\n" in text:
            raise CannotEditError
        return Edit(file.path, node.end - 1, node.end - 1, f", {text}" if node.pairs else text)
    own = [key for key, value in node.pairs if file.text[key.start : key.start + 2] != "<<" or len(node.pairs) == 1]
    if not own:
        raise CannotEditError
    blanks = " " * (own[0].start - line_start(file.text, own[0].start))
    return new_line(file, end_of(node, file.text), "\n".join(blanks + line for line in text.split("\n")))


def set_key(node: Mapping, file: Text, keys: list[str], value: str | None) -> list[Edit]:
    """The value of a key below a mapping; None takes the key out.

    Raises:
        CannotEditError: the way to it is not there.
    """
    above = node.map(*keys[:-1]) if len(keys) > 1 else node
    if above is None:
        raise CannotEditError
    for key, known in above.pairs:
        if key.value == keys[-1]:
            if value is None or isinstance(known, (Mapping, Items)):
                raise CannotEditError
            return [Edit(file.path, known.start, known.end, value)]
    return [new_key(above, file, f"{keys[-1]}: {value}")] if value is not None else []


def after_run(workload: Workload, files: Files[str, Text], text: str) -> Edit:
    """An option behind the ``run`` of ``docker run``."""
    words = workload.texts
    at = next((i for i, word in enumerate(words[:8]) if word.rsplit("/", 1)[-1] in CONTAINER_TOOLS), None)
    run = next((word for word in workload.words[at:] if word.text == "run"), None) if at is not None else None
    if run is None or run.place is None:
        raise CannotEditError
    return Edit(run.place.path, run.place.end, run.place.end, f" {text}")


def resize(workload: Workload, files: Files[str, Text], resource: str, size: int) -> list[Edit]:
    """Another size for a container's memory or its /dev/shm.

    Raises:
        CannotEditError: nothing that the files declare has that size.
    """
    what = _RESOURCES.get(resource)
    if what is None:
        raise CannotEditError
    amount = _amount(size, *_UNITS.get(workload.kind, ("G", "M")))
    if place := workload.places.get(what):
        return [rewritten(amount, place, files[place.path].text)]
    if what == "memory" or any(fact.name == "host.shm_size" and fact.origin.line is None for fact in workload.facts):
        raise CannotEditError
    if not any(fact.name == "host.shm_size" for fact in workload.facts):
        raise CannotEditError  # shared with the host, or a volume of its own
    if workload.kind == "compose" and workload.node is not None:
        return [new_key(workload.node, files[workload.path], f"shm_size: {amount}")]
    if workload.kind == "script":
        return [after_run(workload, files, f"--shm-size={amount}")]
    if workload.kind == "kubernetes" and workload.node is not None and workload.pod is not None:
        return _shared_memory_volume(workload.node, workload.pod, files[workload.path], amount)
    raise CannotEditError


def container_flag(workload: Workload, files: Files[str, Text], flag: str, value: str | None) -> list[Edit]:
    """An option of ``docker run``, or what stands for it in a Compose file or a pod.

    Raises:
        CannotEditError: the program runs in no container that the files declare.
    """
    file = files[workload.path]
    if workload.kind == "script":
        words = workload.words
        at = next((i for i, word in enumerate(words) if word.text.split("=")[0] == flag), None)
        if at is None or value is None:
            return [after_run(workload, files, flag if value is None else f"{flag}={value}")]
        joined = "=" in words[at].text
        place = words[at].place if joined else words[at + 1].place if at + 1 < len(words) else None
        if place is None:
            raise CannotEditError
        return [rewritten(f"{flag}={value}" if joined else value, place, files[place.path].text)]
    if workload.kind == "compose" and workload.node is not None and flag in {"--ipc", "--runtime"} and value:
        return set_key(workload.node, file, [flag[2:]], value)
    if workload.kind == "compose" and workload.node is not None and flag == "--gpus":
        if workload.node.get("deploy") is not None:
            return set_key(workload.node, file, ["gpus"], value or "all")
        count = value if value and value.isdigit() else "all"
        device = f"- driver: nvidia\n  count: {count}\n  capabilities: [gpu]"
        nested = "deploy:\n  resources:\n    reservations:\n      devices:\n" + re.sub(
            r"^", "        ", device, flags=re.M
        )
        return [new_key(workload.node, file, nested)]
    if workload.kind == "kubernetes" and workload.node is not None and flag == "--gpus":
        count = value if value and value.isdigit() else "1"  # a pod names a number
        if workload.node.get("resources") is None:
            return [new_key(workload.node, file, f"resources:\n  limits:\n    nvidia.com/gpu: {count}")]
        return set_key(workload.node, file, ["resources", "limits", "nvidia.com/gpu"], count)
    if workload.pod is not None and flag == "--ipc" and value == "host":
        return set_key(workload.pod, file, ["hostIPC"], "true")
    raise CannotEditError


def set_limit(workload: Workload, files: Files[str, Text], name: str, value: str) -> list[Edit]:
    """A limit of a process (``RLIMIT_MEMLOCK``): of a unit, or of a container.

    Raises:
        CannotEditError: it is not a limit that these files can set.
    """
    limit = name.removeprefix("RLIMIT_").removeprefix("Limit")
    if workload.path not in files or value not in {"unlimited", "infinity"} or limit not in {"MEMLOCK", "AS"}:
        raise CannotEditError
    file = files[workload.path]
    if workload.kind == "systemd":
        if place := workload.places.get(f"Limit{limit}"):
            return [Edit(place.path, place.start, place.end, "infinity")]
        section = re.search(r"^\[Service\][ \t]*$", file.text, re.M)
        if section is not None:
            return [new_line(file, section.end(), f"Limit{limit}=infinity")]
    if limit == "MEMLOCK" and workload.kind == "script":
        return [after_run(workload, files, "--ulimit memlock=-1")]
    if limit == "MEMLOCK" and workload.kind == "compose" and workload.node is not None:
        if workload.node.get("ulimits") is None:
            return [new_key(workload.node, file, "ulimits:\n  memlock: -1")]
        return set_key(workload.node, file, ["ulimits", "memlock"], "-1")
    raise CannotEditError


def _amount(size: int, large: str, small: str) -> str:
    return f"{size // GIB}{large}" if size % GIB == 0 else f"{-(-size // MIB)}{small}"


def _shared_memory_volume(container: Mapping, pod: Mapping, file: Text, amount: str) -> list[Edit]:
    """A volume in memory, mounted at /dev/shm: kubernetes.io/docs/concepts/storage/volumes, emptyDir."""
    taken = {
        known.value for item in pod.list("volumes") if isinstance(item, Mapping) and (known := item.scalar("name"))
    }
    name = next(name for name in ("dshm", "shm-in-memory", "llm-shared-memory") if name not in taken)
    mount = [f"name: {name}", "mountPath: /dev/shm"]
    volume = [f"name: {name}", "emptyDir:", "  medium: Memory", f"  sizeLimit: {amount}"]
    return [_new_item(container, "volumeMounts", mount, file), _new_item(pod, "volumes", volume, file)]


def _new_item(node: Mapping, key: str, lines: list[str], file: Text) -> Edit:
    """A mapping behind the last item of a list, which is made if there is none."""
    known = node.get(key)
    item = "\n".join([f"- {lines[0]}", *(f"  {line}" for line in lines[1:])])
    if known is None:
        return new_key(node, file, f"{key}:\n" + re.sub(r"^", "  ", item, flags=re.M))
    if not isinstance(known, Items) or known.flow or not known.items:
        raise CannotEditError
    blanks = indentation(file.text, known.items[0].start)
    return new_line(file, end_of(known, file.text), re.sub(r"^", blanks, item, flags=re.M))


def edit_config(workload: Workload, files: Files[str, Text], where: str, key: str, value: str | None) -> list[Edit]:
    """A key of a pod's specification, or a parameter of a Modelfile.

    Raises:
        CannotEditError: the file that is meant is not among those of the deployment.
    """
    if workload.pod is not None and where == "pod specification" and key.startswith("spec."):
        return set_key(workload.pod, files[workload.path], key.split(".")[1:], value)
    if workload.kind == "modelfile" and where == "Modelfile" and value is not None:
        parameter, file = key.removeprefix("PARAMETER "), files[workload.path]
        if place := workload.places.get(parameter):
            return [Edit(place.path, place.start, place.end, value)]
        return [new_line(file, len(file.text.rstrip()), f"PARAMETER {parameter} {value}")]
    raise CannotEditError
