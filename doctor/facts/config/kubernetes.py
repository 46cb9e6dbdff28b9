"""Kubernetes manifests: what each container of a pod runs, with which variables and limits.

Whatever holds a list of containers is a pod's specification, be it of a Pod, a Deployment, a StatefulSet, a CronJob or
of a resource that an operator defines. ``$(NAME)`` in a command is filled in from the container's variables
(kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from doctor.facts.config.containers import default_shared_memory, request_gpus
from doctor.facts.config.images import started
from doctor.facts.config.places import Form, Text, Word
from doctor.facts.config.shell import launched
from doctor.facts.config.workload import Trouble, Variable, Workload, lookup_in, quantity
from doctor.facts.config.yamltext import (
    Items,
    Mapping,
    Node,
    Scalar,
    UnreadableYAMLError,
    documents,
    end_of,
    inside,
    parse,
    place_of,
)

MAX_CONTAINERS = 200
MAX_LEVEL = 14
_REFERENCE = re.compile(r"\$(?:\$|\((?P<name>[A-Za-z_][\w.-]*)\))")
_GPU = re.compile(r"(?:nvidia\.com|amd\.com|gpu\.intel\.com|huawei\.com)/.+")
_SHM = "/dev/shm"  # noqa: S108 - a mount inside of the container


@dataclass(frozen=True, slots=True)
class Resource:
    """One object of a manifest."""

    node: Mapping
    file: Text

    @property
    def title(self) -> str:
        kind, name = self.node.scalar("kind"), self.node.scalar("metadata", "name")
        return f"{kind.value if kind else 'resource'} {name.value if name else 'without a name'}"


def read_kubernetes(files: Sequence[Text], is_program: Callable[[str], bool]) -> tuple[list[Workload], list[Trouble]]:
    """The containers of manifests; ConfigMaps are looked up among them."""
    troubles: list[Trouble] = []
    resources = [resource for file in files for resource in _resources(file, troubles)]
    maps = {title: found for item in resources if (found := _data(item)) for title in [item.title]}
    workloads: list[Workload] = []
    for resource in resources:
        for pod in _pods(resource.node):
            containers = pod.list("containers")[: MAX_CONTAINERS - len(workloads)]
            for node in containers:
                if isinstance(node, Mapping):
                    container = _Container(resource, pod, node, maps, troubles)
                    workloads.append(container.read(is_program))
    return workloads, troubles


def _resources(file: Text, troubles: list[Trouble]) -> Iterator[Resource]:
    for start, line, text in documents(file.text):
        try:
            tree = parse(text, start, line)
        except UnreadableYAMLError as error:
            template = re.search(r"^\s*(?:- )?(?:[\w.-]+: )?\{\{", text, re.M)
            hint = "a template: give what `helm template` makes of it" if template else error.hint
            troubles.append(Trouble(file.path, error.line, error.message, hint))
            continue
        if isinstance(tree, Mapping) and tree.scalar("kind"):
            listed = [item for item in tree.list("items") if isinstance(item, Mapping)]
            yield from [Resource(item, file) for item in listed or [tree]]


def _pods(node: Node, level: int = 0) -> Iterator[Mapping]:
    """The mappings below ``node`` that hold a list of containers."""
    if level > MAX_LEVEL:
        return
    if isinstance(node, Mapping):
        if any(isinstance(item, Mapping) for item in node.list("containers")):
            yield node
            return
        for key, value in node.pairs:
            if key.value not in {"status", "metadata"}:
                yield from _pods(value, level + 1)
    elif isinstance(node, Items) and level < MAX_LEVEL // 2:
        for item in node.items:
            yield from _pods(item, level + 1)


def _data(resource: Resource) -> list[Variable]:
    """The entries of a ConfigMap as variables."""
    data = resource.node.map("data")
    if not resource.title.startswith("ConfigMap ") or data is None:
        return []
    return [
        _pair(name, key, value, resource.file) for name, (key, value) in data.all().items() if isinstance(value, Scalar)
    ]


def _pair(name: str, key: Scalar, value: Scalar, file: Text) -> Variable:
    entry = file.place(key.start, value.end, "item")
    return Variable(name, value.value, file.path, key.line, "pair", place_of(value, file), entry, inside(value, file))


@dataclass(slots=True)
class _Container:
    resource: Resource
    pod: Mapping
    node: Mapping
    maps: dict[str, list[Variable]]
    troubles: list[Trouble]

    def read(self, is_program: Callable[[str], bool]) -> Workload:
        name, image = self.node.scalar("name"), self.node.scalar("image")
        called = name.value if name else "without a name"
        title = self.resource.node.scalar("metadata", "name")
        workload = Workload(
            "kubernetes", f"{self.resource.title}, container {called}", self.resource.file.path, self.node.line
        )
        workload.names = tuple(part.value for part in (name, title) if part)
        workload.image = image.value if image else ""
        workload.node, workload.pod = self.node, self.pod
        workload.variables = [*self._env_from(), *self._env()]
        values = lookup_in(workload.variables)
        entry, arguments = self._words("command", values), self._words("args", values)
        workload.declared = bool(entry or arguments)
        if not entry:
            put, taken = started(workload.image, [word.text for word in arguments], is_program)
            entry, arguments = [Word(text) for text in put], arguments[taken:]
        workload.words = launched([*entry, *arguments], workload.variables, lambda _: None, is_program)
        self._limits(workload)
        self._shared_memory(workload)
        return workload

    def _words(self, key: str, values: dict[str, Word]) -> list[Word]:
        node = self.node.get(key)
        if not isinstance(node, Items):
            return []
        form: Form = "flow" if node.flow else "item"
        return [self._filled_in(item, values, form) for item in node.items if isinstance(item, Scalar)]

    def _filled_in(self, item: Scalar, values: dict[str, Word], form: Form) -> Word:
        file = self.resource.file
        found = _REFERENCE.fullmatch(item.value)
        if found and found["name"] in values:
            return values[found["name"]]
        made = _REFERENCE.sub(lambda match: _replaced(match, values), item.value)
        place = place_of(item, file, form)
        return Word(made, place, inside(item, file) if made == item.value else None)

    def _env(self) -> Iterator[Variable]:
        file = self.resource.file
        for item in self.node.list("env"):
            name = item.scalar("name") if isinstance(item, Mapping) else None
            if not isinstance(item, Mapping) or name is None:
                continue
            value = item.get("value")
            if isinstance(value, Scalar):
                entry = file.place(item.start, end_of(item, file.text))
                place, within = place_of(value, file), inside(value, file)
                yield Variable(name.value, value.value, file.path, value.line, "entry", place, entry, within)
            elif source := item.map("valueFrom", "configMapKeyRef"):
                key = source.scalar("key")
                for known in self._config_map(source, item.line):
                    if key and known.name == key.value:
                        yield Variable(name.value, known.value, known.path, known.line, "pair", known.place)

    def _env_from(self) -> Iterator[Variable]:
        for item in self.node.list("envFrom"):
            source = item.map("configMapRef") if isinstance(item, Mapping) else None
            if isinstance(item, Mapping) and source is not None:
                prefix = item.scalar("prefix")
                for known in self._config_map(source, item.line):
                    name = f"{prefix.value if prefix else ''}{known.name}"
                    yield Variable(name, known.value, known.path, known.line, "pair", known.place, known.entry)

    def _config_map(self, source: Mapping, line: int) -> list[Variable]:
        name, optional = source.scalar("name"), source.scalar("optional")
        title = f"ConfigMap {name.value if name else ''}"
        if title not in self.maps and not (optional and optional.value == "true"):
            message = f"{title} is not among the input: its variables are not known"
            self.troubles.append(Trouble(self.resource.file.path, line, message, "add its manifest to the input"))
        return self.maps.get(title, [])

    def _limits(self, workload: Workload) -> None:
        limits = self.node.map("resources", "limits")
        file, gpus = self.resource.file, ""
        for name, (key, value) in limits.all().items() if limits else []:
            if not isinstance(value, Scalar):
                continue
            amount = quantity(value.value)
            if name == "memory" and amount is not None:
                workload.places["memory"] = place_of(value, file)
                workload.limit("host.cgroup_limit", int(amount), workload.places["memory"])
            elif _GPU.fullmatch(name):
                gpus = value.value
                request_gpus(workload, gpus, file.path, key.line)
        if not gpus:
            request_gpus(workload, "none", file.path, self.node.line)

    def _shared_memory(self, workload: Workload) -> None:
        """The /dev/shm of the container: its own of 64 MiB, unless a volume in memory is mounted there."""
        shared, file = self.pod.scalar("hostIPC"), self.resource.file
        if shared and shared.value == "true":
            return
        for mount in self.node.list("volumeMounts"):
            path = mount.scalar("mountPath") if isinstance(mount, Mapping) else None
            name = mount.scalar("name") if isinstance(mount, Mapping) else None
            if path is None or path.value.rstrip("/") != _SHM or name is None:
                continue
            for volume in self.pod.list("volumes"):
                called = volume.scalar("name") if isinstance(volume, Mapping) else None
                if isinstance(volume, Mapping) and called and called.value == name.value:
                    size = volume.scalar("emptyDir", "sizeLimit")
                    amount = quantity(size.value) if size else None
                    if size is not None and amount is not None:
                        workload.places["shm"] = place_of(size, file)
                        workload.limit("host.shm_size", int(amount), workload.places["shm"])
            return
        default_shared_memory(workload, self.node.line)


def _replaced(found: re.Match[str], values: dict[str, Word]) -> str:
    if found["name"] is None:
        return "$"  # $$ is an escape
    return values[found["name"]].text if found["name"] in values else found[0]
