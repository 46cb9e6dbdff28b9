"""The benchmark's patterns: the real rules first, the planted failures, then generated ones up to the number wanted.

Until a rule book is there, ``dialect()`` stands for it: the lines from which facts and signs of life are read. The
generated patterns look like those of rules (words that no healthy log prints, captures, alternatives, now and then a
look-around) and come from a fixed seed.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import loggen

if TYPE_CHECKING:
    from doctor.scan.patterns import Pattern

SEED = 20261121

# (pattern, dense): once a request or more often = dense; once a model load = not.
DIALECT: tuple[tuple[str, bool], ...] = (
    (r"build: (?P<build>\d+) \((?P<commit>[0-9a-f]+)\) with (?P<compiler>.+) for (?P<target>\S+)", False),
    (r"system.info: n_threads = (?P<threads>\d+)", False),
    (r"Device (?P<index>\d+): (?P<name>[^,]+), compute capability (?P<cc>[\d.]+)", False),
    (r"srv +load_model: loading model '(?P<path>[^']+)'", False),
    (r"using device (?P<device>\w+) \((?P<name>.+)\)(?: \(\S+\))? - (?P<free>\d+) MiB free", False),
    (r"loaded meta data with (?P<pairs>\d+) key-value pairs and (?P<tensors>\d+) tensors from (?P<path>\S+)", False),
    (r"llama_model_loader: - kv +\d+: +(?P<key>\S+) +(?P<type>\w+) += (?P<value>.*)", False),
    (r"llama_model_loader: - type +(?P<type>\w+): +(?P<count>\d+) tensors", False),
    (r"print_info: file type +=\s+(?P<type>.+)", False),
    (r"print_info: file size +=\s+(?P<size>[\d.]+ [KMG]iB)", False),
    (r"print_info: arch += (?P<arch>\S+)", False),
    (r"print_info: n_ctx_train += (?P<n>\d+)", False),
    (r"print_info: n_embd += (?P<n>\d+)", False),
    (r"print_info: n_layer += (?P<n>\d+)", False),
    (r"print_info: n_head += (?P<n>\d+)", False),
    (r"print_info: n_head_kv += (?P<n>\d+)", False),
    (r"print_info: n_embd_head_k += (?P<n>\d+)", False),
    (r"print_info: n_expert += (?P<n>\d+)", False),
    (r"print_info: n_vocab += (?P<n>\d+)", False),
    (r"print_info: model params += (?P<params>[\d.]+ [MBT])", False),
    (r"offloaded (?P<done>\d+)/(?P<all>\d+) layers to GPU", False),
    (r"load_tensors: +(?P<device>\S+) model buffer size = +(?P<size>[\d.]+) MiB", False),
    (r"llama_context: n_ctx += (?P<n>\d+)", False),
    (r"llama_context: n_batch += (?P<n>\d+)", False),
    (r"llama_context: n_ubatch += (?P<n>\d+)", False),
    (r"llama_context: flash_attn += (?P<value>\w+)", False),
    (r"(?P<device>\S+) KV buffer size = +(?P<size>[\d.]+) MiB", False),
    (r"(?P<device>\S+) +compute buffer size = +(?P<size>[\d.]+) MiB", False),
    (r"initializing slots, n_slots = (?P<slots>\d+)", False),
    (r"server is listening on (?P<url>http\S+)", False),
    (r"vLLM API server version (?P<version>\S+)", False),
    (r"Initializing a V1 LLM engine \(v(?P<version>[^)]+)\)", False),
    (r"Model loading took (?P<size>[\d.]+) GiB", False),
    (r"Available KV cache memory: (?P<size>-?[\d.]+) GiB", False),
    (r"GPU KV cache size: (?P<tokens>[\d,]+) tokens", False),
    (r"Application startup complete", False),
    (r"prompt eval time = +(?P<ms>[\d.]+) ms / +(?P<n>\d+) tokens .*, +(?P<speed>[\d.]+) tokens per second", True),
    (r" eval time = +(?P<ms>[\d.]+) ms / +(?P<n>\d+) (?:tokens|runs) .*, +(?P<speed>[\d.]+) tokens per second", True),
    (r"slot +release: id +(?P<slot>\d+) \| task (?P<task>\d+) \| stop processing: n_\w+ = (?P<n>\d+)", True),
    (r"slot +launch_slot_: id +(?P<slot>\d+) \| task (?P<task>\d+) \| processing task", True),
    (r"new prompt, n_ctx_slot = (?P<ctx>\d+), n_keep = (?P<keep>\d+)", True),
    (r"all slots are idle", True),
    (r"request: (?P<verb>GET|POST) (?P<path>\S+) (?P<address>\S+) (?P<status>\d{3})", True),
    (r"Avg generation throughput: (?P<speed>[\d.]+) tokens/s, Running: (?P<running>\d+) reqs", True),
    (r"\"(?:GET|POST) (?P<path>\S+) HTTP/1\.1\" (?P<status>\d{3})", True),
    (r"\[GIN\] \S+ - \S+ \| (?P<status>\d{3}) \| +(?P<seconds>\S+) \|", True),
)

_SUBJECTS = (
    "ggml_backend_{b}_buffer_type_alloc_buffer", "ggml_{b}_graph_compute", "ggml_{b}_init", "llama_model_load_{b}",
    "{b}_mul_mat_id", "{b}_flash_attn_ext", "{b}_context", "{b}_residency_set", "{b}_peer_access", "{b} worker",
    "{b} engine core", "{b} scheduler", "{b} executor", "{b} tokenizer", "{b} placement group", "{b} shard reader",
)  # fmt: skip
_BACKENDS = (
    "cuda", "hip", "rocm", "vulkan", "metal", "sycl", "cann", "musa", "opencl", "blas", "rpc", "kompute", "hexagon",
    "amx", "zdnn", "webgpu", "nccl", "rccl", "hccl", "triton", "flashinfer", "marlin", "cutlass", "mscclpp", "ray",
)  # fmt: skip
_VERBS = (
    "failed to allocate", "could not map", "refused to register", "unable to pin", "cannot open", "lost contact with",
    "timed out waiting for", "rejected", "does not support", "has no kernel for", "returned a malformed", "ran out of",
    "aborted while copying", "found a corrupt", "is missing the", "was built without", "cannot run", "disagrees about",
)  # fmt: skip
_OBJECTS = (
    "staging buffer", "workspace arena", "block table", "expert weights", "rope table", "sampling graph", "page pool",
    "quant scales", "command queue", "memory window", "shared segment", "peer mapping", "attention sinks", "draft head",
    "projector tensor", "vocabulary merges", "grammar stack", "lora adapter", "checkpoint index", "router logits",
)  # fmt: skip
_TAILS = (
    r": (?P<size>[\d.]+) MiB on device (?P<device>\d+)",
    r" of size (?P<bytes>\d+)",
    r" \((?P<name>[^)]+)\)",
    r" \((?P<code>-?\d+)\): (?P<reason>.+)",
    r", expected (?P<want>\w+), got (?P<got>\w+)",
    r" after (?P<seconds>\d+(?:\.\d+)?) ?s(?:econds)?",
    r"(?: on rank (?P<rank>\d+))? in (?P<where>\S+):\d+",
    r" for (?P<what>\S+)(?: \(view\))?: error (?P<errno>\d+)",
    r"(?! \(ignored\)).* status (?P<status>\d+)",
    r"",
)


def dialect() -> list[Pattern]:
    """What the rule book reads facts from, until there is a rule book."""
    from doctor.scan.patterns import Pattern

    return [Pattern(f"dialect.{n}", pattern, dense=dense) for n, (pattern, dense) in enumerate(DIALECT)]


def planted() -> list[Pattern]:
    """One pattern for each planted failure, under the key ``planted.NAME``."""
    from doctor.scan.patterns import Pattern

    return [Pattern(f"planted.{failure.name}", failure.pattern) for failure in loggen.FAILURES]


def generated(count: int, seed: int = SEED) -> list[Pattern]:
    """``count`` different patterns in the style of rules; a shorter list is the beginning of a longer one."""
    from doctor.scan.patterns import Pattern

    dice = random.Random(seed)
    found: dict[str, Pattern] = {}
    while len(found) < count:
        subject = dice.choice(_SUBJECTS).format(b=dice.choice(_BACKENDS))
        gap = dice.choice((": ", r"\S* ", r" \[\d+\]: ", r":\s+"))
        text = f"{subject}{gap}{dice.choice(_VERBS)} (?:the )?{dice.choice(_OBJECTS)}{dice.choice(_TAILS)}"
        found.setdefault(text, Pattern(f"generated.{len(found)}", text, ignore_case=dice.random() < 0.05))
    return list(found.values())


def pattern_set(count: int, real: list[Pattern] | None = None) -> list[Pattern]:
    """``count`` patterns, or more where the real ones alone are more: real (or ``dialect()``), planted, generated."""
    base = (real or dialect()) + planted()
    return base + generated(max(0, count - len(base)))
