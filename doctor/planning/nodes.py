"""Several machines: which of their devices an engine has.

Targets are given once a machine, the one that the engine starts on first; RPC workers follow in the order of ``--rpc``.
llama.cpp puts RPC devices before its own (src/llama.cpp, ``llama_model_load_from_file_impl``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from doctor.planning.target import Device, Target

RPC_PORT = 50052
"""Where rpc-server listens unless it is told otherwise (tools/rpc/rpc-server.cpp)."""


def together(targets: Sequence[Target], value: Callable[[str], Any], *, by_rank: bool) -> Target:
    """The machine that the plan counts with: the first, and of the others the devices that the engine uses there.

    Args:
        value: of a setting; anything but a number or a list if it is not known.
        by_rank: the engine has a rank on every card (vLLM, SGLang); else it may have RPC workers.
    """
    first, others = targets[0], targets[1:]
    if by_rank:
        wanted = _count(value("setting.tensor_parallel")) * _count(value("setting.pipeline_parallel"))
        if wanted <= len(first.devices) or not others:
            return first
        more = tuple(
            replace(device, name=f"{other.name} {device.name}") for other in others for device in other.devices
        )
        return replace(first, devices=(*_named(first), *more), others=tuple(other.name for other in others))
    endpoints = value("setting.rpc")
    if not isinstance(endpoints, (list, tuple)) or not others:
        return first
    pairs = list(zip(map(str, endpoints), others, strict=False))
    workers = tuple(device for endpoint, other in pairs for device in _offered(endpoint, other))
    return replace(first, devices=(*workers, *_named(first)), others=tuple(other.name for _, other in pairs))


def endpoints_of(targets: Sequence[Target]) -> list[str]:
    """What ``--rpc`` would name, of machines whose addresses are not known."""
    return [f"{'-'.join(target.name.split())}:{RPC_PORT}" for target in targets[1:]]


def _named(target: Target) -> Iterator[Device]:
    for device in target.devices:
        yield replace(device, description=_described(device, target))


def _described(device: Device, target: Target) -> str:
    return f"{target.name}: {device.description}" if device.description else target.name


def _offered(endpoint: str, target: Target) -> Iterator[Device]:
    """What a worker offers: its devices, or, without any, its RAM as one."""
    if not target.devices and target.ram:
        free = target.available or target.ram
        yield Device(f"RPC[{endpoint}]", total=target.ram, free=free, description=target.name, backend="rpc")
    for index, device in enumerate(target.devices):
        name = f"RPC[{endpoint}]" + (f"#{index}" if index else "")
        described, taken = _described(device, target), device.runtime  # by the worker, on its own back end
        yield replace(device, name=name, description=described, backend="rpc", taken=taken, shared=False)


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 1
