"""The machine that a model is to run on: devices and host memory, from a probe, a short YAML file, or an example."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from doctor.errors import UsageProblem
from doctor.model.plain import load_yaml
from doctor.planning.cards import card_bandwidth
from doctor.units import GIB, MIB, parse_size

THIS = "this"
EXAMPLES = Path(__file__).with_name("targets")
MAX_DEVICES = 256
_KEYS = {"name", "ram", "free", "limit", "bandwidth", "numa_nodes", "cpu", "devices", "swap", "sockets"}
_DEVICE_KEYS = {"name", "count", "memory", "free", "bandwidth", "backend", "shared", "display"}
_PREFIX = {"cuda": "CUDA", "rocm": "ROCm", "vulkan": "Vulkan", "sycl": "SYCL", "cann": "CANN", "metal": "MTL"}
RUNTIME = {"cuda": 500 * MIB, "rocm": 500 * MIB, "sycl": 300 * MIB, "cann": 500 * MIB, "vulkan": 100 * MIB}
"""What the driver and the back end's libraries take on a device beside llama.cpp's buffers; rough figures that differ
between drivers and cards, so they are shown as an estimate (docs/memory.md)."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device as the engine will name it.

    Attributes:
        name: ``CUDA0``; of an RPC worker its endpoint.
        description: the product: ``NVIDIA GeForce RTX 4090``.
        total: bytes; ``free``: what other programs leave of it now.
        bandwidth: bytes a second of its memory, None if not known.
        shared: its memory is the machine's RAM.
        reserve: bytes that a project wants to be left free of it at the least.
        taken: bytes that driver and libraries have of it; None: as is usual for the back end.
    """

    name: str
    total: int
    free: int
    description: str = ""
    backend: str = ""
    bandwidth: float | None = None
    shared: bool = False
    reserve: int = 0
    taken: int | None = None

    @property
    def runtime(self) -> int:
        return RUNTIME.get(self.backend, 0) if self.taken is None else self.taken


@dataclass(frozen=True, slots=True)
class Target:
    """A machine.

    Attributes:
        ram: bytes of host memory; ``available``: what other programs leave of it now.
        limit: bytes that a container may take.
        bandwidth: bytes a second of host memory.
        cpu_flags: instruction sets as ``/proc/cpuinfo`` names them; empty when not known.
        assumed: what was not told and is assumed, in words.
        others: names of further machines, some of whose devices are among these.
    """

    name: str
    devices: tuple[Device, ...] = ()
    ram: int | None = None
    available: int | None = None
    limit: int | None = None
    bandwidth: float | None = None
    numa_nodes: int | None = None
    cpu_flags: frozenset[str] = frozenset()
    assumed: tuple[str, ...] = field(default=())
    others: tuple[str, ...] = field(default=())

    @property
    def host_free(self) -> int | None:
        """What the program may take of host memory."""
        known = [size for size in (self.available if self.available is not None else self.ram, self.limit) if size]
        return min(known, default=None)


def examples() -> list[str]:
    """Names of the machines that come with the program."""
    return sorted(file.stem for file in EXAMPLES.glob("*.yaml"))


def keeping(target: Target, reserve: int) -> Target:
    """The machine with so many bytes of every device to be left free at the least."""
    return replace(target, devices=tuple(replace(device, reserve=reserve) for device in target.devices))


def read_target(text: str | None) -> Target:
    """A machine by the name of an example, by a file (YAML of a few lines, or a probe document), or ``this`` one.

    Raises:
        UsageProblem: no such file or example, or a file that can't be used; says the key.
    """
    if text is None or (text == THIS and not Path(text).exists()):
        from doctor.planning.probed import this_machine

        return this_machine()
    path = Path(text)
    known = EXAMPLES / f"{path.name}.yaml"
    if not path.suffix and path.name == text and not path.exists() and known.is_file():
        path = known
    try:
        present = path.is_file()
    except ValueError:  # a NUL in the name
        present = False
    if not present:
        hint = f"a file, or one of the examples: {', '.join(examples())}"
        raise UsageProblem("no such target", subject=f"--target {text}", hint=hint)
    data = load_yaml(path)
    if "schema" in data or "facts" in data or "records" in data:
        from doctor.planning.probed import from_probe

        return from_probe(data, str(path))
    return _handwritten(data, str(path))


def _handwritten(data: dict[str, Any], path: str) -> Target:
    _known(data, _KEYS, path)
    devices: list[Device] = []
    ram, ram_bandwidth = _size(data, "ram", path), _rate(data, path)
    listed = data.get("devices") or []
    if not isinstance(listed, list):
        raise UsageProblem("'devices' is no list", subject=path, hint="a '-' before each device")
    for index, entry in enumerate(listed):
        if not isinstance(entry, dict):
            raise UsageProblem(f"device {index} is not 'key: value'", subject=path, hint="name, memory, count")
        devices += _devices(entry, len(devices), ram, path, f"devices[{index}]")
        if len(devices) > MAX_DEVICES:
            raise UsageProblem(f"more than {MAX_DEVICES} devices", subject=path)
    cpu = data.get("cpu")
    flags = frozenset(str(cpu).lower().replace(",", " ").split()) if cpu else frozenset()
    nodes = data.get("numa_nodes")
    return Target(
        name=str(data.get("name") or Path(path).stem)[:200],
        devices=tuple(devices),
        ram=ram,
        available=_size(data, "free", path),
        limit=_size(data, "limit", path),
        bandwidth=ram_bandwidth,
        numa_nodes=nodes if isinstance(nodes, int) and 0 < nodes < 1024 else None,
        cpu_flags=flags,
    )


def _devices(entry: dict[str, Any], first: int, ram: int | None, path: str, where: str) -> list[Device]:
    _known(entry, _DEVICE_KEYS, path)
    description = str(entry.get("name") or "")[:200]
    backend = str(entry.get("backend") or backend_of(description)).lower()
    shared = bool(entry.get("shared", backend == "metal"))
    total = _size(entry, "memory", path)
    if total is None and backend == "metal" and ram is not None:
        total = metal_limit(ram)
    if total is None:
        raise UsageProblem(f"{where} has no 'memory'", subject=path, hint="memory: 24 GiB")
    count = entry.get("count", 1)
    if not isinstance(count, int) or not 1 <= count <= MAX_DEVICES:
        raise UsageProblem(f"{where}: {count!r} is no number of devices", subject=path)
    free = _size(entry, "free", path)
    bandwidth = _rate(entry, path) or card_bandwidth(description)
    one = Device("", total, min(free, total) if free is not None else total, description, backend, bandwidth, shared)
    return [replace(one, name=device_name(backend, first + number)) for number in range(count)]


def device_name(backend: str, index: int) -> str:
    """What llama.cpp calls a device: ``CUDA0``."""
    return f"{_PREFIX.get(backend, backend.upper() or 'GPU')}{index}"


def metal_limit(ram: int) -> int:
    """What macOS lets the GPU hold at once (``recommendedMaxWorkingSetSize``): three quarters of the memory of larger
    machines, two thirds of those up to 36 GiB; ``sysctl iogpu.wired_limit_mb`` raises it."""
    return ram * 3 // 4 if ram > 36 * GIB else ram * 2 // 3


def backend_of(description: str) -> str:
    """The back end that drives a product, by its name; empty where nothing tells."""
    lowered = description.lower()
    for backend, words in (
        ("cuda", ("nvidia", "geforce", "rtx", "tesla", "jetson", "orin", "h100", "h200", "a100", "l40")),
        ("metal", ("apple",)),
        ("rocm", ("amd", "radeon", "instinct", "strix")),
        ("sycl", ("intel", "arc")),
        ("cann", ("ascend",)),
    ):
        if any(word in lowered for word in words):
            return backend
    return ""


def _known(data: dict[str, Any], keys: set[str], path: str) -> None:
    from difflib import get_close_matches

    for key in data:
        if key not in keys:
            near = get_close_matches(str(key), keys, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(keys))}"
            raise UsageProblem(f"unknown key {str(key)[:80]!r}", subject=path, hint=hint)


def _size(data: dict[str, Any], key: str, path: str) -> int | None:
    value = data.get(key)
    if value is None:
        return None
    try:
        size = int(value) if isinstance(value, int) and not isinstance(value, bool) else parse_size(str(value))
    except ValueError:
        size = -1
    if not 0 <= size <= 2**56:
        raise UsageProblem(f"{key}: {str(value)[:60]!r} is no size", subject=path, hint="for example 24 GiB")
    return size


def _rate(data: dict[str, Any], path: str) -> float | None:
    value = data.get("bandwidth")
    if value is None:
        return None
    try:
        return float(parse_size(str(value).removesuffix("/s").strip(), "GB"))
    except ValueError:
        hint = "for example 1008 GB/s"
        raise UsageProblem(f"bandwidth: {str(value)[:60]!r} is no rate", subject=path, hint=hint) from None
