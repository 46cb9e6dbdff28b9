"""The child process of the embedded runner: loads a model by llama-cpp-python and works on what it is told.

Started by its path, so it imports nothing of llmdoctor. It is given a JSON file. What the engine prints goes to
standard error as in any program; what it has done goes, as JSON lines, to the file that the request names.
"""

from __future__ import annotations

import ctypes
import json
import sys
import time
from pathlib import Path
from typing import Any

_KEEP = 4
_PIECE = 64


def main() -> int:
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with Path(request["progress"]).open("a", buffering=1, encoding="utf-8") as progress:

        def tell(stage: str, **more: Any) -> None:
            progress.write(json.dumps({"stage": stage, **more}) + "\n")

        return _work(request, tell)


def _work(request: dict[str, Any], tell: Any) -> int:
    start = time.monotonic()
    import llama_cpp  # type: ignore[import-not-found,unused-ignore]

    tell("import", version=llama_cpp.__version__)
    arguments = dict(request["arguments"])
    servers = arguments.pop("rpc", None)
    if servers:
        # Llama(rpc_servers=...) is passed over in silence: the servers are registered as llama.cpp's own tools do it.
        _register(llama_cpp, servers)
    for name in ("type_k", "type_v"):
        if isinstance(arguments.get(name), str):
            arguments[name] = getattr(llama_cpp, f"GGML_TYPE_{arguments[name].upper()}", None)
    model = llama_cpp.Llama(verbose=request["verbose"], **arguments)
    tell("loaded", seconds=time.monotonic() - start)
    name, tokens, answer = request["workload"], request.get("tokens"), request["answer"]
    if name == "embedding":
        _embed(model, tokens or 600, tell)
    elif name != "load_only":
        context = model.n_ctx()
        prompt = {"fill_context": tokens or int(context * 0.95) - answer, "long_prefill": int(context * 0.75)}.get(
            name, 8
        )
        total = max(tokens or 0, context + context // 4) if name == "generate_past_context" else prompt + answer
        _generate(llama_cpp, model, prompt, total, tell)
    tell("done")
    return 0


def _embed(model: Any, tokens: int, tell: Any) -> None:
    start = time.monotonic()
    model.create_embedding(" a" * tokens)
    tell("answer", asked=f"an embedding of {tokens} tokens", tokens=1, seconds=time.monotonic() - start)


def _generate(llama: Any, model: Any, prompt: int, total: int, tell: Any) -> None:
    """Greedy decoding by llama.cpp's own functions, with its server's context shift when the context is full."""
    context, limit = model.ctx, model.n_ctx()
    batch = llama.llama_batch_init(_PIECE, 0, 1)
    words = [model.token_bos()] + [model.token_bos() + 70] * (prompt - 1)
    start = time.monotonic()
    place, shifts, first, last = 0, 0, 0.0, 0.0
    size = model.n_vocab()

    def decode(tokens: list[int]) -> int:
        nonlocal place
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, place + i, 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = i == len(tokens) - 1
        found = llama.llama_decode(context, batch)
        if found:
            raise RuntimeError(f"llama_decode returned {found}")
        place += len(tokens)
        scores = llama.llama_get_logits_ith(context, len(tokens) - 1)
        return max(range(min(size, 2048)), key=lambda i: scores[i])

    token = 0
    for at in range(0, len(words), _PIECE):
        token = decode(words[at : at + _PIECE])
    first = time.monotonic()
    tell("first_token", seconds=first - start)
    made = 1
    while len(words) + made < total:
        if place >= limit:
            gone = (place - _KEEP) // 2
            _shift(llama, context, gone, place)
            place -= gone
            shifts += 1
            tell("shift", discarded=gone)
        token = decode([token])
        made += 1
        if made == 8:
            tell("generating")
    last = time.monotonic()
    rate = (made - 1) / (last - first) if made > 1 and last > first else None
    tell(
        "answer", asked=f"{len(words)} tokens and an answer of {made}", tokens=made, prompt_tokens=len(words),
        first=first - start, rate=rate, shifts=shifts, seconds=last - start,
    )  # fmt: skip


def _shift(llama: Any, context: Any, gone: int, end: int) -> None:
    """Drops ``gone`` positions behind the first few and moves the rest down."""
    if hasattr(llama, "llama_memory_seq_add"):
        memory = llama.llama_get_memory(context)
        llama.llama_memory_seq_rm(memory, 0, _KEEP, _KEEP + gone)
        llama.llama_memory_seq_add(memory, 0, _KEEP + gone, end, -gone)
    else:
        llama.llama_kv_cache_seq_rm(context, 0, _KEEP, _KEEP + gone)
        llama.llama_kv_cache_seq_add(context, 0, _KEEP + gone, end, -gone)


def _register(llama: Any, servers: list[str]) -> None:
    """Makes RPC workers devices, by the function that the build offers (its name changed in 2025)."""
    llama.llama_backend_init()
    # The libraries that are really loaded: a second copy would have a registry of its own, without effect.
    maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    loaded = {line.split(maxsplit=5)[-1] for line in maps if "libggml" in line}
    ggml = ctypes.CDLL(next(path for path in sorted(loaded) if Path(path).name.startswith("libggml.so")))
    base = ctypes.CDLL(next(path for path in sorted(loaded) if Path(path).name.startswith("libggml-base.so")))
    ggml.ggml_backend_reg_by_name.restype = ctypes.c_void_p
    ggml.ggml_backend_reg_by_name.argtypes = [ctypes.c_char_p]
    base.ggml_backend_reg_get_proc_address.restype = ctypes.c_void_p
    base.ggml_backend_reg_get_proc_address.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    registry = ggml.ggml_backend_reg_by_name(b"RPC")
    if not registry:
        raise SystemExit("this build of llama.cpp has no RPC back end")
    for name, register in (
        (b"ggml_backend_rpc_add_server", "ggml_backend_register"),
        (b"ggml_backend_rpc_add_device", "ggml_backend_device_register"),
    ):
        address = base.ggml_backend_reg_get_proc_address(registry, name)
        if not address:
            continue
        add = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p)(address)
        getattr(ggml, register).argtypes = [ctypes.c_void_p]
        for server in servers:
            made = add(server.encode())
            if made:
                getattr(ggml, register)(made)
        return


if __name__ == "__main__":
    raise SystemExit(main())
