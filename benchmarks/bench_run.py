"""What `llmdoctor run` costs the engine: the same work, bare and under `run`, by turns, in one process.

    python benchmarks/bench_run.py [--pairs 7] [--engine FOLDER MODEL.gguf]

The engine itself measures from its first to its last byte, so that starting Python is not counted. Three engines: one
that writes a token now and then, as generating does; one that writes log lines in bursts; one that does nothing but
write, which no engine does. With --engine also llama-bench of llama.cpp, by the tokens a second that it prints. The
consumer of the output is the same pipe for both; every byte is compared. Beside the time that passes, which needs a
machine with nothing else to do, the CPU time of the engine is compared, and what llmdoctor itself takes of a core
meanwhile: without its start and its diagnosis, as measured by a run of `true`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

# Works for so many microseconds before each write: numbers of which no allocation depends.
ENGINE = """\
import os, sys, time
path, count, size, work, each = sys.argv[1], *map(int, sys.argv[2:])
line = (b"0.00.003.750 I srv  update_slots: id 0 | task 0 | n_tokens = 123 " * (size // 64 + 1))[: size - 1] + b"\\n"
def burn(loops):
    x = 1
    for _ in range(loops):
        x = x * 1103515245 + 12345 & 0x7fffffff
    return x
loops = work * 12
start = time.perf_counter()
for i in range(count):
    if work and i % each == 0:
        burn(loops)
    os.write(1, line)
with open(path, "w") as file:
    file.write(f"{time.perf_counter() - start} {time.process_time()}")
"""
CASES = {  # writes, bytes of each, microseconds of work, before each so many writes
    "a token now and then (2,000 writes of 6 bytes, 1 ms of work each)": (2_000, 6, 1_000, 1),
    "log lines in bursts (40,000 lines of 100 bytes, 10 ms of work every 200)": (40_000, 100, 10_000, 200),
    "nothing but output (4,000 writes of 64 KiB)": (4_000, 65_536, 0, 1),
}
RUN = [sys.executable, "-c", "from doctor.cli import main; main()", "run", "--"]


def once(words: list[str]) -> tuple[str, float]:
    """A digest of the output, and the CPU seconds of all processes."""
    digest = hashlib.blake2b()
    before = children_cpu()
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as done:
        assert done.stdout is not None
        while data := done.stdout.read1(1 << 20):  # type: ignore[attr-defined]
            digest.update(data)
    assert done.returncode == 0
    return digest.hexdigest(), children_cpu() - before


def children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def synthetic(case: tuple[int, int, int, int], pairs: int) -> dict[str, float]:
    idle = min(once([*RUN, "true"])[1] for _ in range(3))
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "seconds"
        words = [sys.executable, "-I", "-S", "-c", ENGINE, str(result), *map(str, case)]
        found: dict[str, list[float]] = {"bare": [], "run": []}
        cpu: dict[str, list[float]] = {"bare": [], "run": []}
        own, digests = [], set()
        for turn in range(pairs):
            for name in ("bare", "run") if turn % 2 else ("run", "bare"):
                digest, used = once(words if name == "bare" else [*RUN, *words])
                digests.add(digest)
                passed, of_engine = map(float, result.read_text().split())
                found[name].append(passed)
                cpu[name].append(of_engine)
                if name == "run":
                    own.append((used - of_engine - idle) / passed)
        assert len(digests) == 1, "bytes were changed"
        engine_cpu = min(cpu["run"]) / min(cpu["bare"]) - 1
        return {**summary(found["bare"], found["run"], lower_is_better=True), "cpu": engine_cpu, "own": min(own)}


def engine(folder: Path, model: Path, pairs: int) -> dict[str, float]:
    words = [str(folder / "llama-bench"), "-m", str(model), "-p", "0", "-n", "64", "-r", "3", "-o", "json"]
    found: dict[str, list[float]] = {"bare": [], "run": []}
    for turn in range(pairs):
        for name in ("bare", "run") if turn % 2 else ("run", "bare"):
            chosen = words if name == "bare" else [*RUN, *words]
            done = subprocess.run(chosen, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
            found[name].append(json.loads(done.stdout)[0]["avg_ts"])
    return summary(found["bare"], found["run"], lower_is_better=False)


def summary(bare: list[float], run: list[float], *, lower_is_better: bool) -> dict[str, float]:
    """The least of each, as what disturbs only ever slows; and the median of the pairs' ratios."""
    ratios = [(b / a if lower_is_better else a / b) - 1 for a, b in zip(bare, run, strict=True)]
    best = min if lower_is_better else max
    least = best(run) / best(bare) if lower_is_better else best(bare) / best(run)
    return {"bare": best(bare), "run": best(run), "overhead": least - 1, "median": statistics.median(ratios)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--engine", nargs=2, type=Path, metavar=("FOLDER", "MODEL"))
    options = parser.parse_args()
    for title, case in CASES.items():
        show(title, synthetic(case, options.pairs), "s")
    if options.engine:
        show("llama-bench, 64 tokens", engine(*options.engine, options.pairs), "tokens/s")


def show(title: str, found: dict[str, float], unit: str) -> None:
    figures = f"{found['bare']:.3f} -> {found['run']:.3f} {unit}"
    print(f"{title}: {figures}; overhead {found['overhead']:+.1%} (median of pairs {found['median']:+.1%})", flush=True)
    if "cpu" in found:
        print(f"  CPU time of the engine {found['cpu']:+.1%}; llmdoctor takes {found['own']:.1%} of a core", flush=True)


if __name__ == "__main__":
    main()
