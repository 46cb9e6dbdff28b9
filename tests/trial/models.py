"""Models with random weights that load and answer in a fraction of a second, written by PyPI ``gguf``."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def write(
    path: Path,
    *,
    architecture: str = "llama",
    layers: int = 2,
    width: int = 256,
    context: int = 4096,
    words: int = 512,
    kind: str = "F16",
    template: str | None = None,
    pooling: int | None = None,
) -> Path:
    """A model of the Llama family.

    Args:
        width: of the residual stream; heads of 64, a feed-forward width of twice as much.
        kind: of the matrices: F16 or Q8_0. Large ones repeat one random block: nobody reads their answers.
    """
    import gguf
    import numpy as np

    made = gguf.GGUFWriter(path, architecture)
    heads, size = width // 64, 64
    made.add_name("random weights")
    made.add_context_length(context)
    made.add_embedding_length(width)
    made.add_block_count(layers)
    made.add_feed_forward_length(2 * width)
    made.add_head_count(heads)
    made.add_head_count_kv(heads)
    made.add_layer_norm_rms_eps(1e-5)
    made.add_rope_dimension_count(size)
    made.add_rope_freq_base(10000.0)
    made.add_vocab_size(words)
    if pooling is not None:
        made.add_uint32(f"{architecture}.pooling_type", pooling)
    if template is not None:
        made.add_chat_template(template)
    _vocabulary(made, words)
    random = np.random.default_rng(1)
    known: dict[tuple[int, ...], Any] = {}

    def matrix(name: str, *shape: int) -> None:
        if shape not in known:
            values = random.standard_normal(shape, dtype=np.float32) * 0.05
            known[shape] = (
                values.astype(np.float16)
                if kind == "F16"
                else gguf.quants.quantize(values, gguf.GGMLQuantizationType[kind])
            )
        raw = None if kind == "F16" else gguf.GGMLQuantizationType[kind]
        made.add_tensor(name, known[shape], raw_dtype=raw)

    def ones(name: str, length: int = width) -> None:
        made.add_tensor(name, np.ones(length, np.float32))

    matrix("token_embd.weight", words, width)
    for layer in range(layers):
        at = f"blk.{layer}."
        ones(f"{at}attn_norm.weight")
        for part in ("q", "k", "v", "output"):
            matrix(f"{at}attn_{part}.weight", width, width)
        if architecture == "qwen3":
            ones(f"{at}attn_q_norm.weight", size)
            ones(f"{at}attn_k_norm.weight", size)
        ones(f"{at}ffn_norm.weight")
        matrix(f"{at}ffn_gate.weight", 2 * width, width)
        matrix(f"{at}ffn_up.weight", 2 * width, width)
        matrix(f"{at}ffn_down.weight", width, 2 * width)
    ones("output_norm.weight")
    matrix("output.weight", words, width)
    made.write_header_to_file()
    made.write_kv_data_to_file()
    made.write_tensors_to_file()
    made.close()
    return path


def _vocabulary(made: Any, size: int) -> None:
    """Words of SentencePiece's kind: control words, the bytes, characters, and words that mean nothing."""
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *map(chr, range(33, 127))]
    kinds = [2, 3, 3, *[6] * 256, *[1] * 95]
    words += [f"▁w{number}" for number in range(size - len(words))]
    made.add_tokenizer_model("llama")
    made.add_token_list(words[:size])
    made.add_token_scores([-float(number) for number in range(size)])
    made.add_token_types((kinds + [1] * size)[:size])
    made.add_bos_token_id(1)
    made.add_eos_token_id(2)
    made.add_unk_token_id(0)
