#!/usr/bin/env python3
"""The scanner against ripgrep and against a bare loop, in one run. Prints the table that the README shows.

python benchmarks/bench_scan.py [--size 100MB|1GB] [--book-mb 20] [--repeats 3]

Every row is a median of the repeats, every ratio is of medians of this run. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import loggen  # noqa: E402
import passes  # noqa: E402
import ripgrep  # noqa: E402


def one_pass(kind: str, log: Path, *options: str) -> dict[str, Any]:
    """A pass in a process of its own."""
    words = [sys.executable, str(HERE / "passes.py"), kind, str(log), *options]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def medians(kind: str, log: Path, repeats: int, *options: str) -> dict[str, Any]:
    """The pass with the median time; its peak memory is the largest of all."""
    found = sorted((one_pass(kind, log, *options) for _ in range(repeats)), key=lambda each: each["seconds"])
    middle = dict(found[len(found) // 2])
    middle["rss"] = max(each["rss"] for each in found)
    if kind == "scan":
        middle["planted"] = min(each["planted"] for each in found)
    assert all(each["lines_right"] for each in found), f"{kind}: wrong count of lines"
    return middle


def rg(which: str, log: Path, repeats: int) -> tuple[float, int]:
    """Median seconds of ``rg -c -f`` with the same patterns, and how many look-arounds were left out."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "patterns"
        left_out = ripgrep.write(passes.patterns(which), file)
        return median(ripgrep.count(file, log)[0] for _ in range(repeats)), left_out


def analyze(log: Path, repeats: int) -> tuple[float, int]:
    """Median seconds and peak memory (bytes) of ``llmdoctor analyze FILE --format json``, start-up and all."""
    words = [sys.executable, "-c", "from doctor.cli import main; main()", "analyze", str(log), "--format", "json"]
    seconds, peak = [], 0
    for _ in range(repeats):
        started = time.perf_counter()
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, cwd=HERE.parent)
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode in (0, 1), process.returncode
        seconds.append(time.perf_counter() - started)
        peak = max(peak, usage.ru_maxrss * 1024)
    return median(seconds), peak


def small(repeats: int = 9) -> tuple[float, float]:
    """Median seconds of a 2 KB log and of the bare imports that the limit is measured by."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "small.log"
        log.write_bytes((HERE.parent / "fixtures/rpc/dead-port/log.txt").read_bytes()[:2048] * 1)
        analyze(log, 1)
        ours = analyze(log, repeats)[0]
    imports = []
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import pydantic, regex, yaml"], check=True)
        imports.append(time.perf_counter() - started)
    return ours, median(imports)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=loggen.SIZES, default="1GB")
    parser.add_argument("--book-mb", type=int, default=20, help="MB of the log for ripgrep with the whole rule book")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dir", type=Path, default=HERE.parent / "bench-data")
    arguments = parser.parse_args()
    log = loggen.ensure(arguments.dir, arguments.size)
    size = log.stat().st_size
    cores, repeats = str(len(os.sched_getaffinity(0))), arguments.repeats

    rows: list[tuple[str, float, str]] = []
    ripgrep_seconds, left_out = rg("150", log, repeats)
    rows.append((f"`rg -c -f`, 150 patterns ({left_out} look-arounds left out)", ripgrep_seconds, "1.0"))

    def row(name: str, seconds: float) -> None:
        rows.append((name, seconds, f"{ripgrep_seconds / seconds:.1f}"))

    scan = medians("scan", log, repeats, "--patterns", "150", "--workers", cores)
    row(f"scanner, 150 patterns, {cores} cores", scan["seconds"])
    row(
        "scanner, 150 patterns, 1 core", medians("scan", log, repeats, "--patterns", "150", "--workers", "1")["seconds"]
    )
    full = medians("scan", log, 1, "--patterns", "150", "--workers", cores, "--unsampled")
    row("scanner, 150 patterns, nothing sampled", full["seconds"])
    bare = medians("bare", log, repeats, "--patterns", "150", "--workers", cores)
    row("bare loop: same blocks, same database, empty callback", bare["seconds"])
    hundred = medians("scan", log, repeats, "--patterns", "100", "--workers", cores)["seconds"]
    thousand = medians("scan", log, repeats, "--patterns", "1000", "--workers", cores)["seconds"]
    row("scanner, 100 patterns", hundred)
    row("scanner, 1000 patterns", thousand)
    whole, peak = analyze(log, repeats)
    row("`llmdoctor analyze`, the whole rule book", whole)

    book_log = arguments.dir / "first-part.log"
    with log.open("rb") as file:
        book_log.write_bytes(file.read(arguments.book_mb * 1_000_000) + file.readline())
    book_rg, _ = rg("book", book_log, 1)
    book_ours, _ = analyze(book_log, repeats)
    count = len(passes.patterns("book"))
    small_seconds, imports = small()

    print(
        f"{log.name}: {size / 1e6:.0f} MB, {json.loads(log.with_suffix('.json').read_text())['lines']} lines; ", end=""
    )
    print(f"{cores} cores, {platform.machine()}, Python {platform.python_version()}; medians of {repeats}\n")
    print("| pass | seconds | MB/s | times rg |\n| --- | ---: | ---: | ---: |")
    for name, seconds, ratio in rows:
        print(f"| {name} | {seconds:.2f} | {size / 1e6 / seconds:.0f} | {ratio} |")
    print("\n| figure | measured | wanted |\n| --- | ---: | ---: |")
    print(f"| scanner against `rg`, 150 patterns | {ripgrep_seconds / scan['seconds']:.1f} x | 3 x |")
    print(f"| scanner's share of the bare loop's throughput | {bare['seconds'] / scan['seconds']:.0%} | 60 % |")
    print(f"| 1000 patterns against 100 | {thousand / hundred:.2f} x | 1.5 x |")
    print(f"| planted failures found with the right line | {scan['planted']} of 10 | 10 |")
    print(f"| peak memory of `analyze` | {peak / 1e6:.0f} MB | 200 MB |")
    against = f"`analyze` on {arguments.book_mb} MB against `rg` with the rule book's {count} patterns"
    print(f"| {against} | {book_rg / book_ours:.1f} x | 3 x |")
    limit = max(0.35, 2.5 * imports)
    print(f"| `analyze` of a 2 KB log, second call | {small_seconds:.2f} s | {limit:.2f} s |")


if __name__ == "__main__":
    main()
