"""Docker Compose files: what each service runs, with which variables and limits.

A service is read through its parts: what it extends, what ``<<`` merges, the file itself, and an override file beside
it. ``${NAME:-default}`` is filled in from the ``.env`` beside the file, which is for that alone: a variable in it
reaches no container by itself (docs.docker.com/compose/how-tos/environment-variables).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from doctor.facts.config.containers import default_shared_memory, gpu_device, memory_lock, request_gpus
from doctor.facts.config.dotenv import variables_of
from doctor.facts.config.images import started
from doctor.facts.config.places import Form, Lookup, Text, Word
from doctor.facts.config.shell import launched
from doctor.facts.config.words import reference, substitute, tokens, words_of
from doctor.facts.config.workload import Trouble, Variable, Workload, container_size, lookup_in
from doctor.facts.config.yamltext import Items, Mapping, Node, Scalar, UnreadableYAMLError, inside, parse, place_of

MAX_SERVICES = 200
_OVERRIDE = re.compile(r"\boverride\b")

Beside = Callable[[str, str], Text | None]
"""The file of the input that a path, relative to that of another file, names."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one file (or a service that is extended) says of a service."""

    node: Mapping
    file: Text
    lookup: Lookup


@dataclass(slots=True)
class Service:
    """A service as its parts, the weakest first."""

    name: str
    parts: list[Part] = field(default_factory=list)

    def nodes(self, *keys: str) -> Iterator[tuple[Node, Part]]:
        """What the parts say under these keys, the weakest first."""
        for part in self.parts:
            above = part.node.map(*keys[:-1])
            node = above.get(keys[-1]) if above else None
            if node is not None and not (isinstance(node, Scalar) and node.null):
                yield node, part

    def last(self, *keys: str) -> tuple[Node, Part] | None:
        return next(reversed(list(self.nodes(*keys))), None)

    def word(self, *keys: str) -> Word | None:
        """The scalar under these keys, with variables filled in."""
        found = self.last(*keys)
        return filled_in(found[0], found[1], "value") if found and isinstance(found[0], Scalar) else None

    def list(self, *keys: str) -> list[Word]:
        """The scalars of the lists under these keys, of all parts."""
        found = [(item, part) for node, part in self.nodes(*keys) if isinstance(node, Items) for item in node.items]
        return [filled_in(item, part, "item") for item, part in found if isinstance(item, Scalar)]


Trees = dict[str, tuple[Text, Mapping, Lookup]]


def read_compose(
    files: Sequence[Text], beside: Beside, is_program: Callable[[str], bool]
) -> tuple[list[Workload], list[Trouble]]:
    """The services of Compose files.

    Args:
        files: all Compose files of the input.
        beside: finds ``.env`` and the files of ``env_file``.
        is_program: whether a word is the name of an engine's program.
    """
    troubles: list[Trouble] = []
    trees: Trees = {}
    for file in files:
        try:
            tree = parse(file.text)
        except UnreadableYAMLError as error:
            troubles.append(Trouble(file.path, error.line, error.message, error.hint))
            continue
        services = tree.map("services") if isinstance(tree, Mapping) else None
        if services is None:
            hint = "services stand below `services:`, each with its image or command"
            troubles.append(Trouble(file.path, 1, "no services in this Compose file", hint))
            continue
        dotenv = beside(file.path, ".env")
        values = lookup_in(variables_of(dotenv, troubles=troubles)) if dotenv else dict[str, Word]()
        trees[file.path] = (file, services, values.get)
    return [_workload(service, beside, is_program, troubles) for service in _services(trees)], troubles


def _services(trees: Trees) -> Iterator[Service]:
    whole: dict[tuple[str, str], Service] = {}
    partial: list[tuple[str, str, Part]] = []
    for path, (file, services, lookup) in trees.items():
        for name, (_, node) in list(services.all().items())[:MAX_SERVICES]:
            if not isinstance(node, Mapping):
                continue
            parts = [*_extended(node, path, trees), Part(node, file, lookup)]
            known = any(part.node.get("image") or part.node.get("build") for part in parts)
            if known and not _OVERRIDE.search(posixpath.basename(path)):
                whole[path, name] = Service(name, parts)
            else:
                partial.append((path, name, parts[-1]))
    for path, name, part in partial:  # docker-compose.override.yml, docker-compose.gpu.yml
        folder = posixpath.dirname(path)
        bases = [found for (other, key), found in whole.items() if key == name and posixpath.dirname(other) == folder]
        for service in bases:
            service.parts.append(part)
        if not bases:
            whole[path, name] = Service(name, [part])
    yield from whole.values()


def _extended(node: Mapping, path: str, trees: Trees, depth: int = 0) -> Iterator[Part]:
    extends = node.get("extends")
    name, source = extends if isinstance(extends, Scalar) else None, path
    if isinstance(extends, Mapping):
        name = extends.scalar("service")
        if named := extends.scalar("file"):
            source = posixpath.normpath(posixpath.join(posixpath.dirname(path), named.value))
    if name is None or depth > 4 or source not in trees:
        return
    file, services, lookup = trees[source]
    base = services.get(name.value)
    if isinstance(base, Mapping):
        yield from _extended(base, source, trees, depth + 1)
        yield Part(base, file, lookup)


def filled_in(node: Scalar, part: Part, form: Form, start: int = 0) -> Word:
    """A scalar (or what is in it from ``start`` on) with its variables filled in.

    The place of ``${NAME:-default}`` is where the value really stands: in the ``.env``, or that of the default.
    """
    text = node.value[start:]
    locate = inside(node, part.file)
    if found := reference(text):
        name, at, default = found
        value = part.lookup(name)
        if value is not None and value.text:
            return value
        if at is not None:
            at += start
            return Word(default, locate(at, at + len(default)), lambda a, b: locate(at + a, at + b))
    made = substitute(text, part.lookup)
    within = (lambda a, b: locate(start + a, start + b)) if made == text else None
    place = place_of(node, part.file, form) if not start else locate(start, len(node.value))
    return Word(made, place, within)


def _workload(service: Service, beside: Beside, is_program: Callable[[str], bool], troubles: list[Trouble]) -> Workload:
    main = next((part for part in reversed(service.parts) if part.node.get("image")), service.parts[-1])
    workload = Workload("compose", f"service {service.name}", main.file.path, main.node.line, node=main.node)
    container, image = service.word("container_name"), service.word("image")
    workload.names = (service.name, *([container.text] if container else []))
    workload.image = image.text if image else ""
    _variables(service, workload, beside, troubles)
    entry, command = _words(service, "entrypoint"), _words(service, "command")
    workload.declared = bool(entry or command)
    if service.last("entrypoint") is None:
        put, taken = started(workload.image, [word.text for word in command], is_program)
        entry, command = [Word(text) for text in put], command[taken:]
    workload.words = launched([*entry, *command], workload.variables, lambda _: None, is_program)
    _limits(service, workload)
    _gpus(service, workload)
    for mount in service.list("volumes"):
        source, colon, target = mount.text.partition(":")
        if colon:
            workload.mounts.append((source, target.split(":", 1)[0]))
    return workload


def _words(service: Service, key: str) -> list[Word]:
    found = service.last(key)
    if found is None:
        return []
    node, part = found
    if isinstance(node, Items):
        form: Form = "flow" if node.flow else "item"
        return [filled_in(item, part, form) for item in node.items if isinstance(item, Scalar)]
    if not isinstance(node, Scalar):
        return []
    try:
        written = list(tokens(node.value, comments=False, newlines=False))
    except ValueError:
        return []
    locate = inside(node, part.file)
    return [word for token in written for word in words_of(token, node.value, part.lookup, locate)]


def _variables(service: Service, workload: Workload, beside: Beside, troubles: list[Trouble]) -> None:
    for node, part in service.nodes("env_file"):
        for item in node.items if isinstance(node, Items) else [node]:
            path = item.scalar("path") if isinstance(item, Mapping) else item
            if not isinstance(path, Scalar):
                continue
            name = substitute(path.value, part.lookup)
            if file := beside(part.file.path, name):
                workload.variables += variables_of(file, troubles=troubles)
            else:
                message = f"env_file {name} of {workload.name} is not among the input: its variables are not known"
                troubles.append(Trouble(part.file.path, path.line, message, "add that file to the input"))
    for node, part in service.nodes("environment"):
        workload.variables += _environment(node, part)


def _environment(node: Node, part: Part) -> Iterator[Variable]:
    """Variables as a mapping or a list; one without a value comes from the shell, so maybe from ``.env``."""
    path = part.file.path
    if isinstance(node, Mapping):
        for name, (key, value) in node.all().items():
            entry = part.file.place(key.start, value.end, "flow" if node.flow else "item")
            if isinstance(value, Scalar):
                word = part.lookup(name) if value.null else filled_in(value, part, "value")
                if word is not None:
                    yield Variable(name, word.text, path, key.line, "pair", word.place, entry, word.inside)
    elif isinstance(node, Items):
        for item in node.items:
            if isinstance(item, Scalar):
                name, equals, _ = item.value.partition("=")
                entry = place_of(item, part.file, "flow" if node.flow else "item")
                found = filled_in(item, part, "text", len(name) + 1) if equals else part.lookup(name)
                if found is not None:
                    yield Variable(name, found.text, path, item.line, "item", found.place, entry, found.inside)


def _limits(service: Service, workload: Workload) -> None:
    for keys in (["deploy", "resources", "limits", "memory"], ["mem_limit"]):
        if (word := service.word(*keys)) and word.place and (size := container_size(word.text)):
            workload.limit("host.cgroup_limit", size, word.place)
            workload.places["memory"] = word.place
    for keys in (["ulimits", "memlock"], ["ulimits", "memlock", "soft"]):
        if (word := service.word(*keys)) and word.place and (size := memory_lock(word.text)) is not None:
            workload.limit("host.memlock_limit", size, word.place)
    shared = service.word("ipc")
    if (word := service.word("shm_size")) and word.place and (size := container_size(word.text)):
        workload.limit("host.shm_size", size, word.place)
        workload.places["shm"] = word.place
    elif not (shared and shared.text not in {"private", "none"}) and not _mounts_shm(service):
        default_shared_memory(workload, workload.line)


def _mounts_shm(service: Service) -> bool:
    return any("/dev/shm" in word.text for key in ("volumes", "tmpfs") for word in service.list(key))  # noqa: S108


def _gpus(service: Service, workload: Workload) -> None:
    """GPUs by ``deploy.resources.reservations.devices``, ``gpus``, ``runtime: nvidia`` or device nodes."""
    asked: list[tuple[str, str, int]] = []
    for node, part in [*service.nodes("deploy", "resources", "reservations", "devices"), *service.nodes("gpus")]:
        path = part.file.path
        if isinstance(node, Scalar):
            asked.append((filled_in(node, part, "value").text, path, node.line))
        for item in node.items if isinstance(node, Items) else []:
            if isinstance(item, Mapping):
                ids = [each.value for each in item.list("device_ids") if isinstance(each, Scalar)]
                count = item.scalar("count")
                text = ",".join(ids) or (filled_in(count, part, "value").text if count else "all")
                asked.append((text, path, item.line))
    devices = service.list("devices")
    if not asked and (found := gpu_device(word.text for word in devices)):
        place = next(word.place for word in devices if gpu_device([word.text]))
        asked.append((found, place.path if place else workload.path, place.line if place else workload.line))
    runtime = service.word("runtime")
    if not asked and runtime and runtime.text == "nvidia" and runtime.place:
        asked.append(("all", runtime.place.path, runtime.place.line))
    request_gpus(workload, *(asked[-1] if asked else ("none", workload.path, workload.line)))
