"""A Hugging Face ``config.json``, with the headers of the safetensors files beside it where they are there.

The configuration is put under GGUF's keys, so that one set of rules (``doctor.model.architecture``) reads both: what
llama.cpp's conversion scripts write for the same model (conversion/*.py, commit 0c1e57098).
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from doctor.errors import UsageProblem
from doctor.memory.ggml import BLOCKS
from doctor.memory.values import MAX_LAYERS
from doctor.model.architecture import facts_of
from doctor.model.document import Model, Tensor
from doctor.model.read import load_json

ARCHITECTURES = {
    "mistral": "llama", "mixtral": "llama", "qwen3_moe": "qwen3moe", "qwen2_moe": "qwen2moe",
    "qwen3_next": "qwen3next", "gemma3_text": "gemma3", "gpt_oss": "gpt-oss", "deepseek_v2": "deepseek2",
    "deepseek_v3": "deepseek2", "deepseek_v32": "deepseek32", "kimi_k2": "deepseek2", "glm4_moe": "glm4moe",
    "falcon_h1": "falcon-h1", "granitemoehybrid": "granitehybrid", "llama4_text": "llama4", "exaone_moe": "exaone-moe",
    "gemma3n_text": "gemma3n", "lfm2_moe": "lfm2moe",
}  # fmt: skip
"""GGUF's names of ``model_type``s that are called otherwise there."""

_NUMBERS = {
    "block_count": ("num_hidden_layers", "n_layer", "num_layers"),
    "embedding_length": ("hidden_size", "n_embd", "d_model"),
    "feed_forward_length": ("intermediate_size", "n_inner", "ffn_dim"),
    "attention.head_count": ("num_attention_heads", "n_head"),
    "attention.head_count_kv": ("num_key_value_heads", "multi_query_group_num"),
    "attention.key_length": ("head_dim",),
    "attention.value_length": ("head_dim",),
    "attention.sliding_window": ("sliding_window",),
    "attention.indexer.key_length": ("index_head_dim",),
    "context_length": ("max_position_embeddings", "n_positions", "max_sequence_length"),
    "vocab_size": ("vocab_size",),
    "expert_count": ("num_local_experts", "num_experts", "n_routed_experts"),
    "expert_used_count": ("num_experts_per_tok", "num_experts_per_token", "moe_topk"),
    "expert_feed_forward_length": ("moe_intermediate_size",),
    "leading_dense_block_count": ("first_k_dense_replace",),
    "full_attention_interval": ("full_attention_interval",),
    "shortconv.l_cache": ("conv_L_cache",),
    "ssm.conv_kernel": ("linear_conv_kernel_dim", "mamba_d_conv", "conv_kernel", "d_conv"),
    "ssm.state_size": ("linear_key_head_dim", "mamba_d_state", "ssm_state_size", "state_size"),
    "ssm.group_count": ("linear_num_key_heads", "mamba_n_groups", "n_groups"),
    "nextn_predict_layers": ("num_nextn_predict_layers",),
}
_DTYPES = {
    "F64": "f64", "F32": "f32", "F16": "f16", "BF16": "bf16", "I64": "i64", "I32": "i32", "I16": "i16", "I8": "i8",
}  # fmt: skip
_BITS = {"float32": 32.0, "float16": 16.0, "bfloat16": 16.0, "float8_e4m3fn": 8.0}
_METHOD_BITS = {"fp8": 8.0, "mxfp4": 4.25, "nvfp4": 4.5, "awq": 4.25, "gptq": 4.25, "compressed-tensors": 8.0}
_MOST_HEADER = 16 * 1024 * 1024
_MOST_FILES = 1000
_MOST_TENSORS = 200_000


def read_huggingface(path: Path) -> Model:
    """The model of a ``config.json``.

    Raises:
        UsageProblem: it is not that, or can't be read.
    """
    config = load_json(path)
    text = config.get("text_config")
    inner = {**config, **text} if isinstance(text, dict) else config
    metadata = metadata_of(inner)
    if not metadata:
        hint = "a config.json says num_hidden_layers, hidden_size and num_attention_heads"
        raise UsageProblem("no configuration of a language model", subject=str(path), hint=hint)
    problems: list[str] = []
    tensors, files = _tensors(path.parent, problems)
    facts = facts_of(metadata, tensors)
    facts["model.name"] = str(config.get("_name_or_path") or path.resolve().parent.name)[:200]
    facts |= _sizes(inner, facts, path.parent, bool(tensors), problems)
    return Model(str(path), "huggingface", facts, tensors, files, problems)


def metadata_of(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration under GGUF's keys; empty if it is none of a language model."""
    kind = str(config.get("model_type") or "").lower()
    arch = ARCHITECTURES.get(kind, kind)
    found: dict[str, Any] = {}
    for key, names in _NUMBERS.items():
        value = next((config[name] for name in names if isinstance(config.get(name), int)), None)
        if value is not None and not isinstance(value, bool):
            found[key] = value
    layers = found.get("block_count")
    if not arch or not layers or not 0 < layers <= MAX_LAYERS or "embedding_length" not in found:
        return {}
    found |= _latent(config) | _special(arch, config, layers, found)
    if isinstance(kinds := config.get("layer_types"), list):
        if "sliding_attention" in kinds:
            found["attention.sliding_window_pattern"] = [kind == "sliding_attention" for kind in kinds]
        if "linear_attention" in kinds:
            found["attention.recurrent_layers"] = [kind == "linear_attention" for kind in kinds]
    drafting = found.get("nextn_predict_layers", 0)
    found["block_count"] = layers + drafting  # GGUF counts the drafting layers in
    return {"general.architecture": arch, **{f"{arch}.{key}": value for key, value in found.items()}}


def _latent(config: dict[str, Any]) -> dict[str, Any]:
    """Multi-head latent attention: one compressed head."""
    rank, rope = config.get("kv_lora_rank"), config.get("qk_rope_head_dim")
    nope, v = config.get("qk_nope_head_dim"), config.get("v_head_dim")
    if not isinstance(rank, int) or not isinstance(rope, int):
        return {}
    return {
        "attention.head_count_kv": 1,
        "attention.kv_lora_rank": rank,
        "attention.key_length": rank + rope,
        "attention.value_length": rank,
        "attention.key_length_mla": (nope if isinstance(nope, int) else 128) + rope,
        "attention.value_length_mla": v if isinstance(v, int) else 128,
        "rope.dimension_count": rope,
    }


def _special(arch: str, config: dict[str, Any], layers: int, found: dict[str, Any]) -> dict[str, Any]:
    """What architectures with recurrent layers say in words of their own."""

    def number(name: str, default: int = 0) -> int:
        value = config.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else default

    embd = found["embedding_length"]
    if arch in {"qwen3next", "qwen35", "qwen35moe"}:
        return {
            "ssm.inner_size": number("linear_num_value_heads") * number("linear_value_head_dim"),
            "ssm.time_step_rank": number("linear_num_value_heads"),
        }
    if arch in {"mamba", "mamba2", "jamba"}:
        special: dict[str, Any] = {"ssm.inner_size": number("mamba_expand", number("expand", 2)) * embd}
        if arch == "jamba":
            period, offset = max(number("attn_layer_period", 8), 1), number("attn_layer_offset", 4)
            kv = found.get("attention.head_count_kv", 0)
            heads = [kv if layer % period == offset else 0 for layer in range(layers)]
            special |= {"attention.head_count_kv": heads}
        return special
    pattern = config.get("hybrid_override_pattern")
    if arch == "nemotron_h" and isinstance(pattern, str) and len(pattern) >= layers:
        kv, ff = found.get("attention.head_count_kv", 0), found.get("feed_forward_length", 0)
        return {
            "attention.head_count_kv": [kv if kind == "*" else 0 for kind in pattern[:layers]],
            "feed_forward_length": [ff if kind == "-" else 0 for kind in pattern[:layers]],
            "ssm.inner_size": number("mamba_num_heads") * number("mamba_head_dim"),
        }
    return {}


def _tensors(folder: Path, problems: list[str]) -> tuple[tuple[Tensor, ...], tuple[tuple[str, int], ...]]:
    """Tensors of the safetensors files beside the configuration; none if some file is missing."""
    files = sorted(folder.glob("*.safetensors"))[:_MOST_FILES]
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        mapping = load_json(index).get("weight_map")
        wanted = {str(name) for name in mapping.values()} if isinstance(mapping, dict) else set()
        missing = sorted(wanted - {file.name for file in files})
        if missing:
            if files:
                problems.append(f"of {len(wanted)} safetensors files {len(missing)} are missing: {missing[0]}, ...")
            return (), ()
        files = [file for file in files if file.name in wanted]
    tensors: list[Tensor] = []
    for file in files:
        tensors += read_safetensors(file)
        if len(tensors) > _MOST_TENSORS:
            raise UsageProblem(f"more than {_MOST_TENSORS} tensors", subject=str(file))
    return tuple(tensors), tuple((str(file), file.stat().st_size) for file in files)


def read_safetensors(path: Path) -> list[Tensor]:
    """The tensors that the header of a safetensors file lists: eight bytes of length, then JSON.

    Raises:
        UsageProblem: no such header; says why.
    """

    def wrong(what: str) -> UsageProblem:
        return UsageProblem(f"not a safetensors file: {what}", subject=str(path), hint="download it again")

    try:
        with path.open("rb") as file:
            head = file.read(8)
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
            if not 2 <= length <= _MOST_HEADER:
                raise wrong(f"a header of {length} bytes")
            content = file.read(length)
    except OSError as error:
        raise UsageProblem(f"can't be read: {error.strerror or error}", subject=str(path)) from None
    if len(content) < length:
        raise wrong("the header is cut short")
    try:
        listed = json.loads(content)
    except (ValueError, RecursionError):
        raise wrong("the header is no JSON") from None
    found = []
    for name, entry in listed.items() if isinstance(listed, dict) else ():
        if name == "__metadata__" or not isinstance(entry, dict):
            continue
        shape, offsets = _numbers(entry.get("shape")), _numbers(entry.get("data_offsets"))
        if shape is None or offsets is None or len(offsets) != 2:
            raise wrong(f"the entry of {name[:80]!r}")
        kind = str(entry.get("dtype"))[:16]
        sides = tuple(reversed(shape)) or (1,)
        found.append(Tensor(name[:255], _DTYPES.get(kind, kind.lower()), sides, max(offsets[1] - offsets[0], 0)))
    return found


def _numbers(value: Any) -> list[int] | None:
    good = isinstance(value, list) and all(type(part) is int and 0 <= part < 2**48 for part in value)
    return value if good else None


def _sizes(
    config: dict[str, Any], facts: dict[str, Any], folder: Path, listed: bool, problems: list[str]
) -> dict[str, Any]:
    """Bits a weight, and what all weights take: listed, told by the index, or counted from the widths."""
    quantised = config.get("quantization_config")
    method = str(quantised.get("quant_method")).lower() if isinstance(quantised, dict) else ""
    bits = _METHOD_BITS.get(method) or _BITS.get(str(config.get("torch_dtype") or config.get("dtype")).lower())
    found: dict[str, Any] = {"model.quant": method.upper() or None, "model.bpw": facts.get("model.bpw")}
    if not listed:
        index = folder / "model.safetensors.index.json"
        told = load_json(index).get("metadata") if index.is_file() else None
        size = told.get("total_size") if isinstance(told, dict) else None
        if isinstance(size, int) and 0 < size < 2**56:
            found["model.file_size"] = size
        elif (params := count_parameters(facts, bool(config.get("tie_word_embeddings")))) and (bits := bits or 16.0):
            found |= {"model.params": params, "model.file_size": round(params * bits / 8)}
            problems.append("no safetensors file or index: the weights are counted from the widths, within a few %")
        found["model.bpw"] = bits
    elif method and facts.get("model.params"):
        found["model.bpw"] = None  # packed weights: elements are not weights
    return {name: value for name, value in found.items() if value is not None}


def count_parameters(facts: dict[str, Any], tied: bool) -> int | None:
    """Weights of a model of plain attention and gated feed-forward layers, by its widths; None if one is missing."""
    layers, embd, vocab = (facts.get(f"model.{name}") for name in ("layers", "embd", "vocab"))
    if not layers or not embd or not vocab:
        return None

    def total(name: str) -> float:
        value = facts.get(f"model.{name}") or 0
        return sum(value) if isinstance(value, list) else float(value) * layers

    heads: float = _largest(facts.get("model.heads"))
    attention = embd * (2 * heads * (facts.get("model.head_dim_k") or 0) * layers + total("embd_k_gqa"))
    attention += embd * total("embd_v_gqa")
    if rank := facts.get("model.kv_lora_rank"):
        # Queries through a bottleneck of 1536, heads of 128 + 64 and 128 numbers, as in DeepSeek's and Kimi's models.
        queries = min(embd * heads * 192, 1536 * (embd + heads * 192))
        attention = layers * (queries + embd * (rank + 64) + heads * 256 * rank + heads * 128 * embd)
    dense: int = facts.get("model.layers_dense") or 0
    feed_forward = 3 * embd * total("ff")
    if experts := facts.get("model.experts"):
        width = _largest(facts.get("model.ff_expert") or facts.get("model.ff"))
        feed_forward = feed_forward * dense / layers + 3 * embd * width * experts * (layers - dense)
    return round(float(attention + feed_forward + embd * vocab * (1 if tied else 2)))


def _largest(value: Any) -> int:
    return int(max(value) if isinstance(value, list) else value or 0)


assert set(_DTYPES.values()) <= set(BLOCKS)  # noqa: S101 - the formats are one table
