"""What reading a GGUF header costs, and that no damage to one costs more than a clear error.

    python benchmarks/bench_header.py [--words 151936] [--repeats 5]
    python benchmarks/bench_header.py --fuzz 120

``--fuzz SECONDS``: every truncation of the first 4 KiB, every bit of it flipped, every four and eight bytes of it made
absurd, and for the rest of the time damage at random; each file goes through ``plan``. What is neither a plan nor one
clear error, or takes more than a second, is printed, with the damage.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.model.support import header, tensor  # noqa: E402

FIRST = 4096
ABSURD = (
    b"\xff" * 8,
    b"\xff" * 7 + b"\x7f",
    b"\0" * 8,
    b"\0\0\0\0\x01\0\0\0",
    b"\xff\xff\xff\x7f",
    b"\xff" * 4,
    b"\0" * 4,
)
MODEL = {
    "general.architecture": "qwen3",
    "general.name": "made up",
    "general.file_type": 15,
    "qwen3.block_count": 36,
    "qwen3.context_length": 40960,
    "qwen3.embedding_length": 4096,
    "qwen3.feed_forward_length": 12288,
    "qwen3.attention.head_count": 32,
    "qwen3.attention.head_count_kv": 8,
    "qwen3.attention.key_length": 128,
    "qwen3.attention.value_length": 128,
    "qwen3.attention.sliding_window": 4096,
    "qwen3.expert_count": 8,
    "qwen3.expert_used_count": 2,
}
PARTS = (
    "attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down",
    "attn_q_norm",
)  # fmt: skip
MEASURED = """
import os, resource, sys, time
from doctor.model.read import read_model
read_model(sys.argv[2])
bytes_read = lambda: int(open("/proc/self/io").read().split()[1])
rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before, at = time.process_time(), bytes_read()
found = read_model(sys.argv[1])
used = time.process_time() - before, bytes_read() - at, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(used[0], used[1], used[2], used[2] - rss, len(found.tensors), found.facts["model.vocab"])
"""


def content(words: int, layers: int = 36) -> tuple[bytes, int]:
    """A header with such a vocabulary and as many merges, and the size of the whole file."""
    names = [f"blk.{layer}.{part}.weight" for layer in range(layers) for part in PARTS] + ["token_embd.weight"]
    vocabulary = [f"word{number}" for number in range(words)]
    more = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": vocabulary, "tokenizer.ggml.merges": vocabulary}
    size, listed = 4096 * 4096 * 2, []
    for number, name in enumerate(names):
        rows = words if name.startswith("token") else 4096
        listed.append(tensor(name, (4096, rows), 1, number * size))
    made = header({**MODEL, **more}, listed)
    return made, len(made) + 64 + size * len(names)


def measure(words: int, repeats: int) -> None:
    """Seconds of the processor, memory and bytes read of one reading, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path, small = Path(folder, "m.gguf"), Path(folder, "s.gguf")
        for file, count in ((path, words), (small, 10)):
            made, size = content(count)
            file.write_bytes(made)
            with file.open("r+b") as whole:
                whole.truncate(size)  # the tensors' data is a hole
        rows = []
        for _ in range(repeats):
            done = subprocess.run(
                [sys.executable, "-c", MEASURED, str(path), str(small)], capture_output=True, text=True, check=True
            )
            rows.append([float(word) for word in done.stdout.split()])
        seconds, read, rss, grown, tensors, vocab = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"{vocab:.0f} words, as many merges, {tensors:.0f} tensors")
        print(f"{read / 1e6:.1f} MB read of {path.stat().st_size / 1e9:.0f} GB")
        print(f"{seconds:.3f} s of the processor (at most 0.2 are wanted)")
        print(f"{rss / 1024:.0f} MiB in all (at most 100 are wanted), {grown / 1024:.1f} of them for the vocabulary")


def damages(whole: bytes, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """What was done, and the file after it; without end."""
    first = min(FIRST, len(whole))
    for at in range(first):
        yield f"cut at {at}", whole[:at]
    for at in range(first):
        for value in ABSURD:
            yield f"{value.hex()} at {at}", whole[:at] + value + whole[at + len(value) :]
    for bit in range(8 * first):
        at = bit // 8
        yield f"bit {bit % 8} of {at}", whole[:at] + bytes([whole[at] ^ 1 << bit % 8]) + whole[at + 1 :]
    while True:
        made = bytearray(whole)
        done = []
        for _ in range(chance.randint(1, 6)):
            at, value = chance.randrange(4, len(made)), chance.choice((chance.randbytes(chance.randint(1, 8)), *ABSURD))
            made[at : at + len(value)] = value
            done.append(f"{value.hex()} at {at}")
        yield ", ".join(done), bytes(made)


def fuzz(seconds: float, seed: int) -> int:
    """How many damages did harm."""
    from doctor.errors import UsageProblem
    from doctor.model.read import read_model
    from doctor.planning.plan import plan
    from doctor.planning.target import read_target

    target, chance = read_target("2x-rtx-4090"), random.Random(seed)
    counts, harm, slowest = {"plans": 0, "errors": 0}, 0, 0.0
    whole, end = content(12, layers=3)[0], time.process_time() + seconds
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "m.gguf")
        for what, made in damages(whole, chance):
            if time.process_time() > end:
                break
            path.write_bytes(made)
            began = time.process_time()
            try:
                plan(read_model(path), {}, target)
                counts["plans"] += 1
            except UsageProblem as problem:
                counts["errors"] += 1
                harm += "\n" in problem.message
            except Exception:
                harm += 1
                print(f"{what}: {traceback.format_exc()}")
            took = time.process_time() - began
            slowest = max(slowest, took)
            if took > 1:
                harm += 1
                print(f"{what}: {took:.1f} s")
            if harm > 20:
                break
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = f"{counts['plans']} plans, {counts['errors']} clear errors, {harm} harmed"
    print(f"header of {len(whole)} bytes, seed {seed}: {told}")
    print(f"slowest {slowest:.2f} s, {rss:.0f} MiB at most")
    return harm


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=int, default=151_936)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--fuzz", type=float, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    if wanted.fuzz:
        sys.exit(1 if fuzz(wanted.fuzz, wanted.seed) else 0)
    measure(wanted.words, wanted.repeats)


if __name__ == "__main__":
    main()
