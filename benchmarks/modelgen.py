"""Writes GGUF files of many architectures, in the widths of real models and with few layers, for memory figures.

    python benchmarks/modelgen.py --dir bench-data/models [NAME ...]

Headers are written by PyPI ``gguf``; the data is a hole in the file (zeros), because memory does not depend on it.
``--random`` fills it with random bytes where a run has to compute something else than zeros.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from doctor.memory.ggml import BLOCKS
from doctor.model.architecture import facts_of
from doctor.model.document import Model, Tensor

ALIGNMENT = 32
Shape = tuple[int, ...]
Tensors = Iterator[tuple[str, Shape]]


@dataclass(frozen=True)
class Spec:
    """A model to write.

    Attributes:
        like: the model whose widths it has.
        arch: GGUF's name.
        type: ggml type of the matrices, upper case; ``exact`` overrides it for tensors by the end of their name.
        keys: metadata under the architecture's prefix.
        tensors: names and shapes (row first) of all tensors but those of ``common``.
        tied: no output matrix of its own.
    """

    like: str
    arch: str
    layers: int
    embd: int
    vocab: int
    tensors: Callable[[Spec], Tensors]
    keys: dict[str, Any] = field(default_factory=dict)
    type: str = "Q4_K"
    exact: dict[str, str] = field(default_factory=dict)
    tied: bool = False
    output_norm: str = "output_norm.weight"

    def key(self, name: str) -> Any:
        return self.keys[name]


def attention(spec: Spec, layer: int, kv_heads: int, *, q_norm: bool = False, post: bool = False) -> Tensors:
    heads, at = spec.key("attention.head_count"), f"blk.{layer}."
    size = spec.keys.get("attention.key_length", spec.embd // heads)
    yield f"{at}attn_norm.weight", (spec.embd,)
    yield f"{at}attn_q.weight", (spec.embd, heads * size)
    yield f"{at}attn_k.weight", (spec.embd, kv_heads * size)
    yield f"{at}attn_v.weight", (spec.embd, kv_heads * size)
    yield f"{at}attn_output.weight", (heads * size, spec.embd)
    if q_norm:
        yield f"{at}attn_q_norm.weight", (size,)
        yield f"{at}attn_k_norm.weight", (size,)
    if post:
        yield f"{at}post_attention_norm.weight", (spec.embd,)


def feed_forward(spec: Spec, layer: int, width: int, *, gated: bool = True) -> Tensors:
    at = f"blk.{layer}."
    yield f"{at}ffn_norm.weight", (spec.embd,)
    if gated:
        yield f"{at}ffn_gate.weight", (spec.embd, width)
    yield f"{at}ffn_up.weight", (spec.embd, width)
    yield f"{at}ffn_down.weight", (width, spec.embd)


def experts(spec: Spec, layer: int, shared: int = 0) -> Tensors:
    at, count, width = f"blk.{layer}.", spec.key("expert_count"), spec.key("expert_feed_forward_length")
    yield f"{at}ffn_gate_inp.weight", (spec.embd, count)
    yield f"{at}ffn_gate_exps.weight", (spec.embd, width, count)
    yield f"{at}ffn_up_exps.weight", (spec.embd, width, count)
    yield f"{at}ffn_down_exps.weight", (width, spec.embd, count)
    if shared:
        yield f"{at}ffn_gate_shexp.weight", (spec.embd, shared)
        yield f"{at}ffn_up_shexp.weight", (spec.embd, shared)
        yield f"{at}ffn_down_shexp.weight", (shared, spec.embd)


def dense(spec: Spec) -> Tensors:
    for layer in range(spec.layers):
        kv = spec.key("attention.head_count_kv")
        norm = spec.arch in {"qwen3", "gemma3"}
        yield from attention(spec, layer, kv, q_norm=norm, post=spec.arch.startswith("gemma"))
        yield from feed_forward(spec, layer, spec.key("feed_forward_length"))
        if spec.arch.startswith("gemma"):
            yield f"blk.{layer}.post_ffw_norm.weight", (spec.embd,)


def cohere(spec: Spec) -> Tensors:
    for layer in range(spec.layers):
        yield from attention(spec, layer, spec.key("attention.head_count_kv"))
        for name, shape in feed_forward(spec, layer, spec.key("feed_forward_length")):
            if "norm" not in name:
                yield name, shape


def biased(spec: Spec) -> Tensors:
    size = spec.embd // spec.key("attention.head_count")
    for layer in range(spec.layers):
        kv = spec.key("attention.head_count_kv")
        yield from attention(spec, layer, kv)
        for name, width in (("q", spec.embd), ("k", kv * size), ("v", kv * size)):
            yield f"blk.{layer}.attn_{name}.bias", (width,)
        yield from feed_forward(spec, layer, spec.key("feed_forward_length"))


def mixture(spec: Spec) -> Tensors:
    for layer in range(spec.layers):
        yield from attention(spec, layer, spec.key("attention.head_count_kv"), q_norm=spec.arch == "qwen3moe")
        yield f"blk.{layer}.ffn_norm.weight", (spec.embd,)
        yield from experts(spec, layer)


def gpt_oss(spec: Spec) -> Tensors:
    heads, count = spec.key("attention.head_count"), spec.key("expert_count")
    for layer in range(spec.layers):
        at = f"blk.{layer}."
        yield from attention(spec, layer, spec.key("attention.head_count_kv"), post=True)
        yield f"{at}attn_output.bias", (spec.embd,)
        yield f"{at}attn_sinks.weight", (heads,)
        yield from experts(spec, layer)
        yield f"{at}ffn_gate_inp.bias", (count,)
        for name, width in (("gate", 2880), ("up", 2880), ("down", spec.embd)):
            yield f"{at}ffn_{name}_exps.bias", (width, count)


def latent(spec: Spec) -> Tensors:
    heads, rank, rope = spec.key("attention.head_count"), spec.key("attention.kv_lora_rank"), 64
    k, v, q_rank = 192, 128, spec.keys.get("attention.q_lora_rank", 0)
    for layer in range(spec.layers):
        at = f"blk.{layer}."
        yield f"{at}attn_norm.weight", (spec.embd,)
        yield f"{at}attn_kv_a_norm.weight", (rank,)
        if q_rank:
            yield f"{at}attn_q_a_norm.weight", (q_rank,)
            yield f"{at}attn_q_a.weight", (spec.embd, q_rank)
            yield f"{at}attn_q_b.weight", (q_rank, heads * k)
        else:
            yield f"{at}attn_q.weight", (spec.embd, heads * k)
        yield f"{at}attn_kv_a_mqa.weight", (spec.embd, rank + rope)
        yield f"{at}attn_k_b.weight", (k - rope, rank, heads)
        yield f"{at}attn_v_b.weight", (rank, v, heads)
        yield f"{at}attn_output.weight", (heads * v, spec.embd)
        if layer < spec.key("leading_dense_block_count"):
            yield from feed_forward(spec, layer, spec.key("feed_forward_length"))
        else:
            yield f"{at}ffn_norm.weight", (spec.embd,)
            yield from experts(spec, layer, spec.key("expert_feed_forward_length") * spec.key("expert_shared_count"))


def _ssm(spec: Spec, layer: int, *, norms: bool) -> Tensors:
    at, inner, state = f"blk.{layer}.", spec.key("ssm.inner_size"), spec.key("ssm.state_size")
    rank, conv = spec.key("ssm.time_step_rank"), spec.key("ssm.conv_kernel")
    yield f"{at}attn_norm.weight", (spec.embd,)
    yield f"{at}ssm_in.weight", (spec.embd, 2 * inner)
    yield f"{at}ssm_conv1d.weight", (conv, inner)
    yield f"{at}ssm_conv1d.bias", (inner,)
    yield f"{at}ssm_x.weight", (inner, rank + 2 * state)
    yield f"{at}ssm_dt.weight", (rank, inner)
    yield f"{at}ssm_dt.bias", (inner,)
    yield f"{at}ssm_a", (state, inner)
    yield f"{at}ssm_d", (inner,)
    yield f"{at}ssm_out.weight", (inner, spec.embd)
    if norms:
        yield f"{at}ssm_dt_norm.weight", (rank,)
        yield f"{at}ssm_b_norm.weight", (state,)
        yield f"{at}ssm_c_norm.weight", (state,)


def mamba(spec: Spec) -> Tensors:
    for layer in range(spec.layers):
        yield from _ssm(spec, layer, norms=False)


def jamba(spec: Spec) -> Tensors:
    for layer, kv in enumerate(spec.key("attention.head_count_kv")):
        if kv:
            yield from attention(spec, layer, kv)
        else:
            yield from _ssm(spec, layer, norms=True)
        yield from feed_forward(spec, layer, spec.key("feed_forward_length"))


def nemotron(spec: Spec) -> Tensors:
    inner, state, groups = spec.key("ssm.inner_size"), spec.key("ssm.state_size"), spec.key("ssm.group_count")
    heads, conv = spec.key("ssm.time_step_rank"), spec.key("ssm.conv_kernel")
    for layer, kv in enumerate(spec.key("attention.head_count_kv")):
        at, width = f"blk.{layer}.", spec.key("feed_forward_length")[layer]
        if kv:
            yield from attention(spec, layer, kv)
            continue
        yield f"{at}attn_norm.weight", (spec.embd,)
        if width:
            yield f"{at}ffn_up.weight", (spec.embd, width)
            yield f"{at}ffn_down.weight", (width, spec.embd)
            continue
        yield f"{at}ssm_in.weight", (spec.embd, 2 * inner + 2 * groups * state + heads)
        yield f"{at}ssm_conv1d.weight", (conv, inner + 2 * groups * state)
        yield f"{at}ssm_conv1d.bias", (inner + 2 * groups * state,)
        yield f"{at}ssm_dt.bias", (heads,)
        yield f"{at}ssm_a", (1, heads)
        yield f"{at}ssm_d", (1, heads)
        yield f"{at}ssm_norm.weight", (inner // groups, groups)
        yield f"{at}ssm_out.weight", (inner, spec.embd)


def qwen3next(spec: Spec) -> Tensors:
    state, groups, rank = spec.key("ssm.state_size"), spec.key("ssm.group_count"), spec.key("ssm.time_step_rank")
    key, value, size = state * groups, state * rank, spec.key("attention.key_length")
    heads, kv = spec.key("attention.head_count"), spec.key("attention.head_count_kv")
    for layer in range(spec.layers):
        at = f"blk.{layer}."
        yield f"{at}attn_norm.weight", (spec.embd,)
        yield f"{at}post_attention_norm.weight", (spec.embd,)
        if (layer + 1) % 4:
            yield f"{at}attn_qkv.weight", (spec.embd, 2 * key + value)
            yield f"{at}attn_gate.weight", (spec.embd, value)
            yield f"{at}ssm_conv1d.weight", (spec.key("ssm.conv_kernel"), 2 * key + value)
            yield f"{at}ssm_dt.bias", (rank,)
            yield f"{at}ssm_a", (rank,)
            yield f"{at}ssm_ba.weight", (spec.embd, 2 * rank)
            yield f"{at}ssm_norm.weight", (state,)
            yield f"{at}ssm_out.weight", (value, spec.embd)
        else:
            yield f"{at}attn_q.weight", (spec.embd, 2 * heads * size)
            yield f"{at}attn_k.weight", (spec.embd, kv * size)
            yield f"{at}attn_v.weight", (spec.embd, kv * size)
            yield f"{at}attn_output.weight", (heads * size, spec.embd)
            yield f"{at}attn_q_norm.weight", (size,)
            yield f"{at}attn_k_norm.weight", (size,)
        yield from experts(spec, layer, spec.key("expert_shared_feed_forward_length"))
        yield f"{at}ffn_gate_inp_shexp.weight", (spec.embd,)


def lfm2(spec: Spec) -> Tensors:
    for layer, kv in enumerate(spec.key("attention.head_count_kv")):
        at = f"blk.{layer}."
        if kv:
            yield from attention(spec, layer, kv, q_norm=True)
        else:
            yield f"{at}attn_norm.weight", (spec.embd,)
            yield f"{at}shortconv.conv.weight", (spec.key("shortconv.l_cache"), spec.embd)
            yield f"{at}shortconv.in_proj.weight", (spec.embd, 3 * spec.embd)
            yield f"{at}shortconv.out_proj.weight", (spec.embd, spec.embd)
        yield from feed_forward(spec, layer, spec.key("feed_forward_length"))


def _heads(
    heads: int, kv: int | list[int], ff: int | list[int], size: int | None = None, **more: Any
) -> dict[str, Any]:
    keys: dict[str, Any] = {
        "attention.head_count": heads,
        "attention.head_count_kv": kv,
        "feed_forward_length": ff,
        "context_length": 131072,
        "attention.layer_norm_rms_epsilon": 1e-6,
    }
    if size:
        keys |= {"attention.key_length": size, "attention.value_length": size}
    return keys | {name.replace("__", "."): value for name, value in more.items()}


def _moe(count: int, used: int, width: int, **more: Any) -> dict[str, Any]:
    return {"expert_count": count, "expert_used_count": used, "expert_feed_forward_length": width, **more}


SPECS = {
    "llama-8b": Spec("Llama 3.1 8B", "llama", 4, 4096, 128256, dense, _heads(32, 8, 14336, 128)),
    "llama-8b-f16": Spec("Llama 3.1 8B", "llama", 2, 4096, 32000, dense, _heads(32, 8, 14336, 128), "F16"),
    "llama-8b-q4_0": Spec("Llama 3.1 8B", "llama", 4, 4096, 128256, dense, _heads(32, 8, 14336, 128), "Q4_0"),
    "llama-mha": Spec("Llama 2 7B", "llama", 4, 4096, 32000, dense, _heads(32, 32, 11008, 128), "Q8_0"),
    "llama-tied": Spec(
        "Llama 3.2 1B", "llama", 6, 2048, 128256, dense, _heads(32, 8, 8192, 64), "Q8_0", tied=True
    ),
    "qwen3-32b": Spec("Qwen3 32B", "qwen3", 2, 5120, 151936, dense, _heads(64, 8, 25600, 128)),
    "gemma3-12b": Spec(
        "Gemma 3 12B", "gemma3", 12, 3840, 262144, dense,
        _heads(16, 8, 15360, 256, attention__sliding_window=1024), tied=True,
    ),
    "qwen3moe-30b": Spec(
        "Qwen3 30B-A3B", "qwen3moe", 2, 2048, 151936, mixture, _heads(32, 4, 6144, 128) | _moe(128, 8, 768)
    ),
    "gpt-oss-20b": Spec(
        "gpt-oss 20B", "gpt-oss", 4, 2880, 201088, gpt_oss,
        _heads(64, 8, 2880, 64, attention__sliding_window=128, rope__dimension_count=64) | _moe(32, 4, 2880),
        "MXFP4", {"token_embd.weight": "Q8_0", "output.weight": "Q8_0"},
    ),
    "deepseek-v2-lite": Spec(
        "DeepSeek-V2 Lite", "deepseek2", 3, 2048, 102400, latent,
        _heads(16, 1, 10944)
        | _moe(64, 6, 1408, expert_shared_count=2, leading_dense_block_count=1, expert_weights_scale=1.0)
        | {"attention.kv_lora_rank": 512, "attention.q_lora_rank": 1536, "attention.key_length": 576,
           "attention.value_length": 512, "attention.key_length_mla": 192, "attention.value_length_mla": 128,
           "rope.dimension_count": 64},
        "Q8_0",
    ),
    "deepseek-v3": Spec(
        "DeepSeek-V3", "deepseek2", 2, 7168, 129280, latent,
        _heads(128, 1, 18432)
        | _moe(16, 8, 2048, expert_shared_count=1, leading_dense_block_count=1, expert_weights_scale=2.5)
        | {"attention.kv_lora_rank": 512, "attention.q_lora_rank": 1536, "attention.key_length": 576,
           "attention.value_length": 512, "attention.key_length_mla": 192, "attention.value_length_mla": 128,
           "rope.dimension_count": 64},
        "Q4_K", {"attn_k_b.weight": "Q8_0", "attn_v_b.weight": "Q8_0"},
    ),
    "mamba-2.8b": Spec(
        "Mamba 2.8B", "mamba", 8, 2560, 50280, mamba,
        {"context_length": 1048576, "ssm.conv_kernel": 4, "ssm.inner_size": 5120, "ssm.state_size": 16,
         "ssm.time_step_rank": 160, "attention.layer_norm_rms_epsilon": 1e-5, "feed_forward_length": 0,
         "attention.head_count": 0},
        "F16", tied=True,
    ),
    "jamba": Spec(
        "Jamba Reasoning 3B", "jamba", 8, 2560, 65536, jamba,
        _heads(20, [0, 0, 0, 0, 1, 0, 0, 0], 8192)
        | {"ssm.conv_kernel": 4, "ssm.inner_size": 5120, "ssm.state_size": 16, "ssm.time_step_rank": 160},
        "F16",
    ),
    "nemotron-h": Spec(
        "Nemotron-H 8B", "nemotron_h", 8, 4096, 131072, nemotron,
        _heads(32, [0, 0, 0, 8, 0, 0, 0, 8], [0, 21504, 0, 0, 21504, 0, 21504, 0], 128)
        | {"ssm.conv_kernel": 4, "ssm.inner_size": 8192, "ssm.state_size": 128, "ssm.time_step_rank": 128,
           "ssm.group_count": 8, "rope.dimension_count": 128, "attention.layer_norm_epsilon": 1e-5},
    ),
    "qwen3next": Spec(
        "Qwen3-Next 80B-A3B", "qwen3next", 4, 2048, 151936, qwen3next,
        _heads(16, 2, 5120, 256, rope__dimension_count=64)
        | _moe(64, 10, 512, expert_shared_feed_forward_length=512)
        | {"ssm.conv_kernel": 4, "ssm.inner_size": 4096, "ssm.state_size": 128, "ssm.time_step_rank": 32,
           "ssm.group_count": 16},
    ),
    "qwen2-14b": Spec("Qwen2.5 14B", "qwen2", 4, 5120, 152064, biased, _heads(40, 8, 13824), "Q5_K"),
    "mixtral-8x7b": Spec(
        "Mixtral 8x7B", "llama", 2, 4096, 32000, mixture, _heads(32, 8, 14336, 128) | _moe(8, 2, 14336), "Q3_K"
    ),
    "mixtral-8x22b": Spec(
        "Mixtral 8x22B", "llama", 2, 6144, 32768, mixture, _heads(48, 8, 16384, 128) | _moe(4, 2, 16384), "Q3_K"
    ),
    "qwen3moe-235b": Spec(
        "Qwen3 235B-A22B", "qwen3moe", 2, 4096, 151936, mixture, _heads(64, 4, 12288, 128) | _moe(32, 8, 1536)
    ),
    "gemma2-9b": Spec(
        "Gemma 2 9B", "gemma2", 6, 3584, 256000, dense,
        _heads(16, 8, 14336, 256, attention__sliding_window=4096), "Q8_0", tied=True,
    ),
    "command-r7b": Spec(
        "Command R7B", "cohere2", 4, 4096, 256000, cohere,
        _heads(32, 8, 14336, 128, attention__sliding_window=4096, logit_scale=0.25,
               attention__layer_norm_epsilon=1e-5), tied=True,
    ),
    "lfm2": Spec(
        "LFM2 1.2B", "lfm2", 8, 2048, 65536, lfm2,
        _heads(32, [0, 0, 8, 0, 0, 8, 0, 8], 8192) | {"shortconv.l_cache": 3},
        "Q4_K", tied=True, output_norm="token_embd_norm.weight",
    ),
}  # fmt: skip


HELD_OUT = ("qwen2-14b", "gemma2-9b", "command-r7b", "mixtral-8x22b", "qwen3moe-235b")
"""Not looked at while the sums of the compute buffer were fitted."""


def metadata(spec: Spec) -> dict[str, Any]:
    """The header's metadata but for the vocabulary."""
    found = {"general.architecture": spec.arch, "general.name": f"like {spec.like}"}
    found |= {f"{spec.arch}.block_count": spec.layers, f"{spec.arch}.embedding_length": spec.embd}
    found[f"{spec.arch}.vocab_size"] = spec.vocab
    return found | {f"{spec.arch}.{key}": value for key, value in spec.keys.items()}


def listed(spec: Spec) -> list[Tensor]:
    """The tensors as they lie in the file."""
    found, at = [], 0
    for name, shape in [*common(spec), *spec.tensors(spec)]:
        kind = _type(spec, name, shape)
        count, block = BLOCKS[kind]
        size = math.prod(shape) // count * block
        found.append(Tensor(name, kind, shape, size, at))
        at += -(-size // ALIGNMENT) * ALIGNMENT
    return found


def model(spec: Spec) -> Model:
    """What reading the file gives, without a file."""
    tensors = listed(spec)
    return Model(f"{spec.arch}.gguf", "gguf", facts_of(metadata(spec), tensors), tuple(tensors))


def write(spec: Spec, path: Path, *, random: bool = False) -> Path:
    """Writes the file; the data is a hole unless ``random``."""
    import gguf
    import numpy

    writer = gguf.GGUFWriter(path, spec.arch)
    for name, value in metadata(spec).items():
        if name == "general.architecture":
            continue
        if isinstance(value, list):
            writer.add_array(name, value)
        elif isinstance(value, str):
            writer.add_string(name, value)
        elif isinstance(value, float):
            writer.add_float32(name, value)
        else:
            writer.add_uint32(name, value)
    _vocabulary(writer, spec.vocab)
    tensors = listed(spec)
    for tensor in tensors:
        # Sides as numpy has them, the row last and in bytes.
        count, block = BLOCKS[tensor.type]
        sides = (*reversed(tensor.shape[1:]), tensor.shape[0] // count * block)
        kind = gguf.GGMLQuantizationType[tensor.type.upper()]
        writer.add_tensor_info(tensor.name, sides, numpy.dtype(numpy.uint8), tensor.bytes, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    size = tensors[-1].offset + tensors[-1].bytes
    with path.open("r+b") as file:
        start = -(-file.seek(0, os.SEEK_END) // ALIGNMENT) * ALIGNMENT
        file.truncate(start + size)
        if random:
            file.seek(start)
            block_ = os.urandom(1 << 20)
            for at in range(0, size, 1 << 20):
                file.write(block_[: min(1 << 20, size - at)])
    return path


def common(spec: Spec) -> Tensors:
    """What every model has beside its layers."""
    yield "token_embd.weight", (spec.embd, spec.vocab)
    yield spec.output_norm, (spec.embd,)
    if not spec.tied:
        yield "output.weight", (spec.embd, spec.vocab)


def _type(spec: Spec, tensor: str, shape: Shape) -> str:
    """ggml's name, lower case: the model's own for matrices of whole blocks, 32 bits for what is small."""
    for end, kind in spec.exact.items():
        if tensor.endswith(end):
            return kind.lower()
    small = len(shape) == 1 or not tensor.endswith(".weight")
    if small or any(part in tensor for part in ("ssm_conv1d", "ssm_norm", "ffn_gate_inp", "shortconv.conv")):
        return "f32"
    if spec.type == "MXFP4" and "exps" not in tensor:
        return "q8_0"
    kind = spec.type.lower()
    return kind if shape[0] % BLOCKS[kind][0] == 0 else "q8_0" if shape[0] % 32 == 0 else "f16"


def _vocabulary(writer: Any, size: int) -> None:
    """A vocabulary of SentencePiece's kind: control words, the bytes, and words that mean nothing."""
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    kinds = [2, 3, 3, *[6] * 256, 1]
    words += [f"▁w{number}" for number in range(size - len(words))]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(words)
    writer.add_token_scores([-float(number) for number in range(size)])
    writer.add_token_types(kinds + [1] * (size - len(kinds)))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dir", type=Path, default=Path("bench-data/models"))
    parser.add_argument("--random", action="store_true")
    parser.add_argument("names", nargs="*", default=list(SPECS), metavar="NAME", help=", ".join(SPECS))
    given = parser.parse_args()
    given.dir.mkdir(parents=True, exist_ok=True)
    for name in given.names:
        path = write(SPECS[name], given.dir / f"{name}.gguf", random=given.random)
        print(f"{path}  {path.stat().st_size / 1024**2:.0f} MiB")


if __name__ == "__main__":
    main()
