"""A model in a few numbers of YAML, for when it is not at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from doctor.errors import UsageProblem
from doctor.memory.model import HyperParameters
from doctor.memory.values import Values
from doctor.memory.weights import bits_of, quant_name
from doctor.model.architecture import facts_of
from doctor.model.document import Model
from doctor.model.plain import load_yaml
from doctor.units import parse_size
from doctor.vocabulary.facts import Unknown

KEYS = {
    "name": None, "arch": None, "params": None, "size": None, "quant": None,
    "layers": ".block_count", "embd": ".embedding_length", "ff": ".feed_forward_length",
    "heads": ".attention.head_count", "heads_kv": ".attention.head_count_kv",
    "head_dim": ".attention.key_length", "vocab": ".vocab_size", "context": ".context_length",
    "experts": ".expert_count", "experts_used": ".expert_used_count", "ff_expert": ".expert_feed_forward_length",
    "layers_dense": ".leading_dense_block_count", "window": ".attention.sliding_window",
    "kv_lora_rank": ".attention.kv_lora_rank", "rope_dim": ".rope.dimension_count",
}  # fmt: skip
"""What a file may say, and GGUF's key for it."""
_SUFFIXES = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}


def read_numbers(path: Path) -> Model:
    """A model from ``key: value`` lines; needed are ``layers`` and ``size``, or ``params`` and ``quant``.

    Raises:
        UsageProblem: an unknown key, a value that is no number, or too little.
    """
    data = load_yaml(path)
    for key in data:
        if key not in KEYS:
            from difflib import get_close_matches

            near = get_close_matches(str(key), KEYS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(KEYS)}"
            raise UsageProblem(f"unknown key {str(key)[:80]!r}", subject=str(path), hint=hint)
    arch = str(data.get("arch") or "llama")
    metadata: dict[str, Any] = {"general.architecture": arch, "general.name": str(data.get("name") or path.stem)}
    for key, gguf in KEYS.items():
        if gguf and key in data:
            metadata[f"{arch}{gguf}"] = _number(data, key, path)
    if "head_dim" in data:
        metadata[f"{arch}.attention.value_length"] = metadata[f"{arch}.attention.key_length"]
    if (rank := metadata.get(f"{arch}.attention.kv_lora_rank")) and isinstance(rank, int):
        rope = metadata.get(f"{arch}.rope.dimension_count")
        width = rank + (rope if isinstance(rope, int) else 64)
        metadata |= {f"{arch}.attention.key_length": width, f"{arch}.attention.key_length_mla": width}
        metadata |= {f"{arch}.attention.value_length": rank, f"{arch}.attention.head_count_kv": 1}
    facts = facts_of(metadata)
    facts |= _weights(data, path)
    missing = HyperParameters.from_facts(Values(lambda name: facts.get(name, Unknown(frozenset({name}))))).missing
    if missing:
        words = ", ".join(name.removeprefix("model.") for name in missing)
        hint = "layers, embd, heads and heads_kv size the KV cache"
        raise UsageProblem(f"not enough numbers: {words} not given", subject=str(path), hint=hint)
    return Model(str(path), "numbers", facts)


def _number(data: dict[str, Any], key: str, path: Path) -> int | list[int]:
    value = data[key]
    if isinstance(value, list) and all(isinstance(part, int) and 0 <= part < 2**31 for part in value):
        return value
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        hint = "a number, or a list of one a layer"
        raise UsageProblem(f"{key}: {str(value)[:60]!r} is no number", subject=str(path), hint=hint)
    return value


def _weights(data: dict[str, Any], path: Path) -> dict[str, Any]:
    """Size, parameters and bits a weight: two of them give the third."""
    quant = quant_name(str(data["quant"])) if "quant" in data else None
    bits = bits_of(quant) if quant else None
    if "quant" in data and bits is None:
        raise UsageProblem(f"quant: {str(data['quant'])[:40]!r} is not known", subject=str(path), hint="as Q4_K_M")
    params, size = _parameters(data, path), None
    if "size" in data:
        try:
            size = parse_size(str(data["size"]))
        except ValueError:
            hint = "for example 42.5 GB"
            raise UsageProblem(f"size: {str(data['size'])[:40]!r} is no size", subject=str(path), hint=hint) from None
    if size is None and params and bits:
        size = round(params * bits / 8)
    if not size or size < 0:
        raise UsageProblem("no size of the weights", subject=str(path), hint="give size, or params and quant")
    bits = bits or (8 * size / params if params else None)
    found = {"model.file_size": size, "model.params": params, "model.quant": quant, "model.bpw": bits}
    return {name: value for name, value in found.items() if value is not None}


def _parameters(data: dict[str, Any], path: Path) -> float | None:
    value = data.get("params")
    if value is None:
        return None
    text = str(value).strip().lower()
    factor = _SUFFIXES.get(text[-1:], 1.0)
    try:
        found = float(text.rstrip("kmbt")) * factor
    except ValueError:
        found = -1.0
    if not 0 < found < 1e15:
        raise UsageProblem(f"params: {text[:40]!r} is no number", subject=str(path), hint="for example 70.6e9 or 70.6B")
    return found
