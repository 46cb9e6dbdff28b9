"""The weights: what they take now, and what the same model would take at another quantisation."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from doctor.memory.ggml import bits_per_weight
from doctor.memory.model import HyperParameters
from doctor.memory.values import Values, integer

BITS_PER_WEIGHT = {
    "F32": 32.0, "BF16": 16.0, "F16": 16.0005,
    "Q8_0": 8.5008, "Q6_K": 6.5633, "Q5_K_M": 5.7036, "Q5_1": 6.0438, "Q5_0": 5.5731, "Q5_K_S": 5.5704,
    "Q4_1": 5.1131, "Q4_K_M": 4.8944, "IQ4_NL": 4.6818, "Q4_K_S": 4.6672, "Q4_0": 4.6425, "IQ4_XS": 4.4597,
    "Q3_K_L": 4.2979, "Q3_K_M": 3.9960, "IQ3_M": 3.7628, "IQ3_S": 3.6606, "Q3_K_S": 3.6429, "IQ3_XS": 3.4977,
    "IQ3_XXS": 3.2548, "Q2_K": 3.1593, "Q2_K_S": 2.9697, "IQ2_M": 2.9294, "IQ2_S": 2.7403, "IQ2_XS": 2.5882,
    "IQ2_XXS": 2.3824, "IQ1_M": 2.1460, "IQ1_S": 2.0042,
}  # fmt: skip
"""Bits a weight of llama.cpp's file types, best first: the table for Llama-3.1-8B in tools/quantize/README.md (commit
0c1e57098); Q4_0, Q4_1, Q5_0 and Q5_1 from the sizes of Llama-3-8B in tools/quantize/quantize.cpp over 8.03e9 weights.

Larger models keep a smaller share of their weights in the better types, so they come out smaller than scaled with
this table: against the published GGUFs of a 70B and of DeepSeek-V3 (671B) the estimate is 0 to 4 % too high
(tests/memory/test_weights.py). It errs to the safe side.
"""

LADDER = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "IQ4_XS", "Q3_K_M", "IQ3_XXS", "Q2_K", "IQ2_XXS")
"""The file types to offer, largest first."""
FOUR_BIT = "Q4_K_M"

_OTHER_BITS = {"FP8": 8.0, "INT8": 8.0, "MXFP4": 4.25, "NVFP4": 4.5, "AWQ": 4.25, "GPTQ": 4.25}
_NAME = re.compile(
    r"(?<![A-Za-z0-9])(IQ[1-4]_(?:XXS|XS|NL|S|M)|Q[2-6]_K(?:_(?:S|M|L))?|Q[458]_[01]|BF16|F(?:P)?16|F(?:P)?32"
    r"|FP8|INT8|MXFP4|NVFP4|AWQ|GPTQ)(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_SHARD = re.compile(r"-\d{5}-of-\d{5}(?=\.)")
_MAX_FILES = 10_000


def quant_name(text: str | None) -> str | None:
    """The quantisation in a file's name or in llama.cpp's ``file type`` (``Q4_K - Medium``); None if there is none."""
    if not text:
        return None
    spelled = re.sub(r"\s+-\s+(Small|Medium|Large)", lambda found: f"_{found[1][0]}", text[:4096], flags=re.IGNORECASE)
    found: list[str] = _NAME.findall(spelled)
    if not found:
        return None
    name = found[-1].upper().replace("FP16", "F16").replace("FP32", "F32")
    return {"Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M", "Q2_K_M": "Q2_K"}.get(name, name)


def bits_of(name: str) -> float | None:
    """Bits a weight of a quantisation by its name, ``Q4_K_M`` -> 4.8944."""
    return BITS_PER_WEIGHT.get(name) or _OTHER_BITS.get(name)


def size_at(model: HyperParameters, weights: int | None, quant: str) -> int | None:
    """Bytes of the same model at another quantisation; None when what it has now is not known.

    Args:
        weights: what the weights take now.
        quant: a key of ``BITS_PER_WEIGHT``.
    """
    bits = BITS_PER_WEIGHT[quant]
    now = current_bits(model)
    if weights and now:
        return round(weights * bits / now)
    return round(model.params * bits / 8) if model.params else None


def current_bits(model: HyperParameters) -> float | None:
    """Bits a weight as the engine printed them, else by the name of the quantisation."""
    named = quant_name(model.quant)
    return model.bpw or (bits_of(named) if named else None)


def smaller_quants(model: HyperParameters, weights: int) -> list[tuple[str, int]]:
    """Quantisations that make the model smaller than it is, largest first, with their bytes."""
    sizes = [(name, size_at(model, weights, name)) for name in LADDER]
    return [(name, size) for name, size in sizes if size is not None and size < 0.98 * weights]


def embedding_bytes(model: HyperParameters) -> int:
    """Bytes of the token embedding, which stays in host memory (``load_tensors``: the input layer is on the CPU)."""
    try:
        bits = bits_per_weight(model.embedding_type) if model.embedding_type else current_bits(model)
    except ValueError:
        bits = None
    return round((model.vocab or 0) * (model.embd or 0) * (bits or 16.0) / 8)


def output_bytes(model: HyperParameters) -> int:
    """Bytes of the output matrix: as wide as the embedding, at least Q6_K in the K-quant mixtures (llama-quant.cpp)."""
    bits = max(current_bits(model) or 16.0, bits_per_weight("q6_k"))
    return round((model.vocab or 0) * (model.embd or 0) * min(bits, 32.0) / 8)


def layer_bytes(model: HyperParameters, weights: int) -> int:
    """Bytes of one repeating layer, taken as equal: the rest of the weights over the number of layers."""
    rest = weights - embedding_bytes(model) - output_bytes(model)
    return max(rest, 0) // model.layers if model.layers else 0


def weights_on_disk(values: Values) -> tuple[int, str | None] | None:
    """Bytes of the model's files and the quantisation in their names; None when the listing is not of one model.

    Shards (``-00001-of-00015``) belong together; of several models the one that the settings name counts.
    """
    models: dict[tuple[str, str], int] = {}
    for record in values.all("file")[:_MAX_FILES]:
        size = integer(record.get("bytes"))
        path = PurePosixPath(str(record.get("path") or "").replace("\\", "/"))
        if size and path.suffix in {".gguf", ".safetensors"} and "mmproj" not in path.name.lower():
            key = (str(path.parent), _SHARD.sub("", path.name))
            models[key] = models.get(key, 0) + size
    asked = values.text("setting.model_path")
    if len(models) > 1 and asked:
        models = {key: size for key, size in models.items() if _is_asked(key, asked)} or models
    if len(models) != 1:
        return None
    (folder, name), size = next(iter(models.items()))
    return size, quant_name(f"{folder}/{name}")


def _is_asked(key: tuple[str, str], asked: str) -> bool:
    path = PurePosixPath(asked.replace("\\", "/"))
    return _SHARD.sub("", path.name) == key[1] or str(path) == key[0]
