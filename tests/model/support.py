"""GGUF headers as bytes, written by hand: whole ones and broken ones."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

U32, F32, STRING, ARRAY, U64 = 4, 6, 8, 9, 10


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def pair(key: str, value: Any) -> bytes:
    """A metadata entry: a number, a text, or a list of one of them."""
    if isinstance(value, list):
        if value and isinstance(value[0], str):
            return text(key) + struct.pack("<IIQ", ARRAY, STRING, len(value)) + b"".join(map(text, value))
        return text(key) + struct.pack(f"<IIQ{len(value)}I", ARRAY, U32, len(value), *value)
    if isinstance(value, str):
        return text(key) + struct.pack("<I", STRING) + text(value)
    return text(key) + struct.pack("<II", U32, value)


def tensor(name: str, shape: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}qIQ", len(shape), *shape, kind, offset)


def header(pairs: dict[str, Any], tensors: list[bytes] | None = None, version: int = 3) -> bytes:
    body = b"".join(pair(key, value) for key, value in pairs.items()) + b"".join(tensors or [])
    return b"GGUF" + struct.pack("<Iqq", version, len(tensors or []), len(pairs)) + body


def put(folder: Path, content: bytes, name: str = "model.gguf") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


LLAMA = {
    "general.architecture": "llama",
    "general.name": "tiny",
    "general.file_type": 1,
    "llama.block_count": 2,
    "llama.context_length": 512,
    "llama.embedding_length": 256,
    "llama.feed_forward_length": 512,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "tokenizer.ggml.tokens": ["a", "b", "c"],
}


def llama_70b(quant: str = "Q4_K_M", *, name: str = "Llama 3.3 70B") -> str:
    """The numbers of a dense model, as a person writes them (also what benchmarks/bench_check.py checks with)."""
    text = Path(__file__).with_name("llama-3.3-70b.yaml").read_text(encoding="utf-8")
    return text.replace("Q4_K_M", quant).replace("name: Llama 3.3 70B", f"name: {json.dumps(name)}")
