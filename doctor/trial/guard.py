"""What a trial would disturb on this machine: a port that is taken, a device or memory that a live service needs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from doctor.trial.setup import Setup, address_of
from doctor.units import format_size

_DEVICES = ("/dev/nvidia", "/dev/kfd", "/dev/dri/render", "/dev/davinci", "/dev/accel")
_MOST_FILES = 4096


@dataclass(frozen=True, slots=True)
class Service:
    """An engine that runs on this machine, and the accelerators that it has opened."""

    pid: int
    name: str
    memory: int
    devices: tuple[str, ...] = ()


def conflicts(setup: Setup) -> list[str]:
    """Why a trial of this setup would disturb something, in sentences."""
    from doctor.trial.runners.command import serves_at
    from doctor.trial.workload import is_open

    found = []
    address = serves_at(setup) if not setup.python else None
    if address is not None and is_open(*address):
        found.append(f"something listens on {address[0]}:{address[1]} already")
    found += [
        f"something listens on {beside.address} already, where {beside.words[0]} is to run"
        for beside in setup.beside
        if beside.address is not None and is_open(*address_of(beside.address, "beside"))
    ]
    services = list(live_services())
    if not services:
        return found
    if _may_use_devices(setup):
        found += [f"{each.name} (pid {each.pid}) uses {', '.join(each.devices)}" for each in services if each.devices]
    need, free = _need(setup), _free()
    if need and free is not None and need > free:
        names = ", ".join(f"{service.name} (pid {service.pid})" for service in services[:3])
        found.append(f"the model takes {format_size(need)} and {format_size(free)} are free beside {names}")
    return found


def live_services() -> Iterator[Service]:
    """Engines that run here and were not started by llmdoctor."""
    import psutil

    from doctor.probe.engines import ENGINE_PROGRAM

    own = {os.getpid()}
    with suppress(psutil.Error):
        own |= {child.pid for child in psutil.Process().children(recursive=True)}
        own |= {parent.pid for parent in psutil.Process().parents()}
    for process in psutil.process_iter(["pid", "name", "exe", "memory_info"]):
        known = process.info
        name = Path(known.get("exe") or known.get("name") or "").name
        if known["pid"] in own or not ENGINE_PROGRAM.fullmatch(name):
            continue
        memory = known["memory_info"].rss if known.get("memory_info") else 0
        yield Service(known["pid"], name, memory, _devices(known["pid"]))


def _devices(pid: int) -> tuple[str, ...]:
    """Accelerators that a process has opened; nothing where that can't be seen."""
    found: set[str] = set()
    with suppress(OSError):
        for number, entry in enumerate(os.scandir(f"/proc/{pid}/fd")):
            if number > _MOST_FILES:
                break
            with suppress(OSError):
                target = str(Path(entry.path).readlink())
                if target.startswith(_DEVICES) and "nvidiactl" not in target and "uvm" not in target:
                    found.add(target)
    return tuple(sorted(found))


def _may_use_devices(setup: Setup) -> bool:
    command = setup.command
    if command is None:
        return True
    return command.value("-ngl", "--gpu-layers", "--n-gpu-layers", "--n_gpu_layers") != "0" and "none" not in {
        command.value("-dev", "--device")
    }


def _need(setup: Setup) -> int:
    """Bytes of the model's files: the least that a trial takes of RAM, or of a live service's page cache."""
    model = setup.model()
    if model is None:
        return 0
    with suppress(OSError):
        files = [model] if model.is_file() else [path for path in model.iterdir() if path.is_file()]
        return sum(file.stat().st_size for file in files)
    return 0


def _free() -> int | None:
    import psutil

    with suppress(OSError, psutil.Error):
        return int(psutil.virtual_memory().available)
    return None


def busy_share(seconds: float = 0.5) -> float:
    """The share of this machine's CPU time that is used just now: figures taken beside much of it vary."""
    import psutil

    return float(psutil.cpu_percent(seconds)) / 100
