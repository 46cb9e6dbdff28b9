"""What `llmdoctor run` costs the engine that it starts: the same work bare and under `run`, by turns.

    python benchmarks/bench_run.py --engine FOLDER MODEL.gguf [--rounds 5] [--pairs 12]
    python benchmarks/bench_run.py [--pairs 7]

With --engine real ones generate. Three llama-servers are up at once, two bare and one under `run`, and are asked in
turn for the same short answer, so that what else the machine does meets all of them alike; each round starts new ones,
as the places that memory happens to get make two equal processes differ. What is compared is CPU time as the kernel
accounts it to the process, which other programs' work changes little, and the rate that the engine prints, which it
changes much (and not alike: under `run` the engine has a session of its own, to which the kernel gives a share of its
own). The second bare server is the measure's own error: two equal things compared. What llmdoctor's two processes use
meanwhile is measured in the same way. Then llama-cli writes an answer to a pipe, and every byte of it is compared.

Without --engine small programs write as engines do (ENGINE below), and each byte is compared as well.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.client
import json
import os
import re
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

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
RUN = [sys.executable, "-c", "from doctor.cli import main; main()", "run", "--no-config", "--"]
TOKENS = 48
_TIMINGS = re.compile(rb"\[ Prompt: [^\]]*\]")  # the only thing in llama-cli's answer that two runs don't share
_WAIT = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--pairs", type=int, help="in all (7), or with --engine in each round (12)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engine", nargs=2, type=Path, metavar=("FOLDER", "MODEL"))
    options = parser.parse_args()
    print(f"load average {' '.join(f'{each:.1f}' for each in os.getloadavg())} on {os.cpu_count()} CPUs", flush=True)
    if options.engine is None:
        for title, case in CASES.items():
            synthetic(title, case, options.pairs or 7)
        return
    folder, model = options.engine
    for title, more in {"as it is": [], "with -lv 5": ["-lv", "5"]}.items():
        words = [str(folder / "llama-server"), "-m", str(model), "-c", "512", "-np", "1", "-t", "1", *more]
        compared = Compared(f"llama-server {title}")
        for _ in range(options.rounds):
            asked_in_turn(words, options.pairs or 12, compared)
        compared.show()
    words = [str(folder / "llama-cli"), "-m", str(model), "-p", "Once upon a time", "-n", "128", "-st", "--simple-io"]
    same_bytes([*words, "--temp", "0", "--ignore-eos", "-t", "1"], options.rounds)
    print(f"load average {' '.join(f'{each:.1f}' for each in os.getloadavg())}")


# --- servers that are asked in turn ----------------------------------------------------------------------------------


@dataclass(slots=True)
class Server:
    """One that is up. ``engine``: its process; ``doctors``: those of llmdoctor around it; ``log``: what it prints."""

    port: int
    engine: int
    doctors: list[int]
    log: Path

    def answer(self) -> Measured:
        before, size, own = cpu(self.engine), self.log.stat().st_size, sum(map(cpu, self.doctors))
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_WAIT)
        asked = {"prompt": "Once", "n_predict": TOKENS, "temperature": 0, "ignore_eos": True, "cache_prompt": False}
        connection.request("POST", "/completion", json.dumps(asked), {"Content-Type": "application/json"})
        told = json.loads(connection.getresponse().read())["timings"]
        connection.close()
        assert told["predicted_n"] == TOKENS
        used, of_doctor = cpu(self.engine) - before, sum(map(cpu, self.doctors)) - own
        return Measured(used, told["predicted_per_second"], of_doctor, self.log.stat().st_size - size)


@dataclass(slots=True)
class Measured:
    """One answer: CPU seconds of the engine, tokens a second as it prints them, CPU seconds of llmdoctor, bytes."""

    engine: float
    rate: float
    doctor: float
    printed: int


@dataclass(slots=True)
class Compared:
    """The answers to the same question, in the order in which they were asked for."""

    title: str
    of: dict[str, list[Measured]] = field(default_factory=lambda: {"bare": [], "bare again": [], "run": []})

    def show(self) -> None:
        bare, run = self.of["bare"], self.of["run"]
        rate = statistics.median(each.rate for each in bare)
        printed = statistics.median(each.printed for each in run) / TOKENS
        print(f"{self.title}: {len(bare)} pairs, {rate:.0f} tokens/s, {printed:.0f} bytes printed a token")
        for name, words in {"run": "under run", "bare again": "bare again"}.items():
            cost = spread([other.engine / one.engine - 1 for one, other in zip(bare, self.of[name], strict=True)])
            slower = spread([one.rate / other.rate - 1 for one, other in zip(bare, self.of[name], strict=True)])
            print(f"  {words:10}  CPU time of the engine {cost}; time a token {slower}")
        share = sum(each.doctor for each in run) / sum(each.engine for each in run)
        print(f"  llmdoctor itself: {share:.2%} of the engine's CPU time", flush=True)


def spread(figures: list[float]) -> str:
    """The median, the middle half, and where the median of as many others would lie 95 times of 100 (bootstrap)."""
    import random

    low, middle, high = statistics.quantiles(figures, n=4)
    chance = random.Random(1)
    medians = sorted(statistics.median(chance.choices(figures, k=len(figures))) for _ in range(2000))
    return (
        f"{middle:+.2%} (95 %: {medians[50]:+.2%} to {medians[-50]:+.2%}; half of the pairs {low:+.1%} to {high:+.1%})"
    )


def asked_in_turn(words: list[str], pairs: int, compared: Compared) -> None:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = {
            name: stack.enter_context(serving(words, folder / name.replace(" ", "-"), under=name == "run"))
            for name in compared.of
        }
        for server in servers.values():
            server.answer()  # warms up
        names = list(servers)
        for turn in range(pairs):
            order = names[turn % 3 :] + names[: turn % 3]
            for name in order if turn % 2 else order[::-1]:
                compared.of[name].append(servers[name].answer())


@contextlib.contextmanager
def serving(words: list[str], log: Path, *, under: bool) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = [*words, "--port", str(port)]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*RUN, *started] if under else started, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        end = time.monotonic() + _WAIT
        while not healthy(port):
            assert process.poll() is None, log.read_text(errors="replace")[-2000:]
            assert time.monotonic() < end, "it does not serve"
            time.sleep(0.1)
        family = [process.pid, *(each.pid for each in psutil.Process(process.pid).children(recursive=True))]
        engine = next(pid for pid in family if psutil.Process(pid).name() == "llama-server")
        yield Server(port, engine, [pid for pid in family if pid != engine], log)
    finally:
        process.terminate()
        process.wait(_WAIT)


def healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def cpu(pid: int) -> float:
    """CPU seconds of a process and all of its threads, to the nanosecond: Linux's clock of it (clock_getcpuclockid)."""
    return time.clock_gettime((~pid << 3) | 2)


# --- programs that run to their end -----------------------------------------------------------------------------------


def same_bytes(words: list[str], times: int) -> None:
    digests = set()
    for _ in range(times):
        for chosen in (words, [*RUN, *words]):
            done = subprocess.run(chosen, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, timeout=_WAIT)
            digests.add(hashlib.blake2b(_TIMINGS.sub(b"", done.stdout)).hexdigest())
            assert _TIMINGS.search(done.stdout)
    assert len(digests) == 1, "bytes were changed"
    print(f"llama-cli, {times} times bare and {times} times under run: the same bytes", flush=True)


def synthetic(title: str, case: tuple[int, int, int, int], pairs: int) -> None:
    idle = min(once([*RUN, "true"])[1] for _ in range(3))
    passed: dict[str, list[float]] = {"bare": [], "run": []}
    used: dict[str, list[float]] = {"bare": [], "run": []}
    own, digests = [], set()
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "seconds"
        words = [sys.executable, "-I", "-S", "-c", ENGINE, str(result), *map(str, case)]
        for turn in range(pairs):
            for name in ("bare", "run") if turn % 2 else ("run", "bare"):
                digest, whole = once(words if name == "bare" else [*RUN, *words])
                digests.add(digest)
                seconds, of_engine = map(float, result.read_text().split())
                passed[name].append(seconds)
                used[name].append(of_engine)
                if name == "run":
                    own.append((whole - of_engine - idle) / seconds)
    assert len(digests) == 1, "bytes were changed"
    print(f"{title}: {min(passed['bare']):.3f} -> {min(passed['run']):.3f} s, the same bytes")
    for name, found in {"time": passed, "CPU time of the engine": used}.items():
        print(f"  {name} {spread([after / before - 1 for before, after in zip(*found.values(), strict=True)])}")
    print(f"  llmdoctor itself: {min(own):.1%} of a core", flush=True)


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


if __name__ == "__main__":
    main()
