"""Where a buffer lies, told from its name: on a GPU of this machine, on an RPC worker, in the host's memory.

Names are those of ggml's back ends - ``CUDA0``, ``ROCm1``, ``MUSA0`` (ggml-cuda.h), ``Metal``, ``Metal_Private``,
``MTL0_Mapped`` (ggml-metal.cpp), ``RPC[host:port]`` and ``RPC0[host:port]`` (ggml-rpc.cpp), ``CPU_Mapped``,
``CUDA_Host`` (pinned memory of the host) - and those of PyTorch (``cuda:0``, ``GPU 0``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from doctor.vocabulary.facts import Record

_GPU = (
    r"(?i)(?:cuda|rocm|hip|musa|vulkan|sycl|metal|mtl|cann|kompute|(?:gpu)?opencl|webgpu|gpu|xpu|npu|mps)"
    r"(?:[ :]?\d{1,4})?(?:_(?!host)\w{1,30})?"
)
_CPU = r"(?i)(?:cpu|amx|blas|host)(?:[ :]?\d{1,4})?(?:_\w{1,30})?|\w{1,30}_host"


def is_rpc(name: str) -> bool:
    """``RPC[192.168.1.7:50052]``"""
    return name.startswith("RPC")


def is_gpu(name: str) -> bool:
    """``CUDA0``, ``Vulkan1``, ``MTL0_Mapped``; not ``CUDA_Host``."""
    return re.fullmatch(_GPU, name) is not None


def is_cpu(name: str) -> bool:
    """``CPU``, ``CPU_REPACK``, ``CUDA_Host``."""
    return re.fullmatch(_CPU, name) is not None


def place(element: Any) -> str:
    """The device that a name, a device or a buffer stands for; empty when it stands for none."""
    if isinstance(element, Record):
        element = element.get("name") or element.get("backend") if element.kind == "device" else element.get("device")
    return element.strip() if isinstance(element, str) else ""


def any_place(subject: Any, holds: Callable[[str], bool]) -> bool:
    """Whether it holds for a name or element, or for any element of a list."""
    return any(holds(place(element)) for element in (subject if isinstance(subject, list) else [subject]))
