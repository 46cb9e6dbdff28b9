"""The child process that lets llama.cpp measure: it loads a model's header without memory for it and builds the graph.

Started by its path, so it imports nothing of llmdoctor. It takes a request as JSON on its command line and prints one
JSON document: the compute buffer of each device in MiB, as llama.cpp prints it, or why there is none.
"""

from __future__ import annotations

import ctypes
import json
import re
import sys
from typing import Any

_COMPUTE = re.compile(r"(?P<device>[\w\[\]:.]+) +compute buffer size = +(?P<mib>[\d.]+) MiB")


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """``{"by": ..., "compute": {device: MiB}}``, or ``{"failed": why}``."""
    import llama_cpp as llama  # type: ignore[import-not-found, import-untyped, unused-ignore]

    said: list[str] = []

    @llama.llama_log_callback  # type: ignore[untyped-decorator]
    def log(_level: int, text: bytes, _data: Any) -> None:
        said.append(text.decode("utf-8", "replace"))

    llama.llama_log_set(log, ctypes.c_void_p(0))
    llama.llama_backend_init()
    model_params = llama.llama_model_default_params()
    if not hasattr(model_params, "no_alloc"):
        return {"failed": f"llama-cpp-python {llama.__version__} can't load without memory"}
    model_params.no_alloc, model_params.n_gpu_layers = True, request["gpu_layers"]
    if hasattr(model_params, "load_mode"):
        model_params.load_mode = 0  # no mapping: there is nothing to map
    else:
        model_params.use_mmap = False
    model = llama.llama_model_load_from_file(request["path"].encode(), model_params)
    if not model:
        return {"failed": _last(said)}
    context_params = llama.llama_context_default_params()
    for name, value in request["context"].items():
        if hasattr(context_params, name):
            setattr(context_params, name, value)
    context = llama.llama_init_from_model(model, context_params)
    if not context:
        return {"failed": _last(said)}
    found: dict[str, float] = {}
    for line in "".join(said).splitlines():
        if buffer := _COMPUTE.search(line):
            found[buffer["device"]] = float(buffer["mib"])
    return {"by": f"llama-cpp-python {llama.__version__}", "compute": found}


def _last(said: list[str]) -> str:
    lines = [line.strip() for line in "".join(said).splitlines() if line.strip()]
    told = [line for line in lines if re.search(r"error|fail|unknown|unsupported", line, re.IGNORECASE)]
    return (told or lines or ["nothing was said"])[-1][:300]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(json.loads(sys.argv[1]))) + "\n")
