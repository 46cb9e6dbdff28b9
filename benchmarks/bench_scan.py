#!/usr/bin/env python3
"""The scanner against ripgrep and against a bare loop, in one run. Prints the table that the README shows.

python benchmarks/bench_scan.py [--size 100MB|1GB] [--repeats 3] [--rg-repeats 1]

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


def analyze(log: Path, repeats: int, *, cores: int | None = None) -> tuple[float, int]:
    """Median seconds and peak memory (bytes) of ``llmdoctor analyze FILE --format json``, start-up and all."""
    words = [sys.executable, "-c", "from doctor.cli import main; main()", "analyze", str(log), "--format", "json"]
    allowed = os.sched_getaffinity(0)
    some = set(sorted(allowed)[:cores])
    seconds, peak = [], 0
    for _ in range(repeats):
        started = time.perf_counter()
        os.sched_setaffinity(0, some)  # inherited by the child
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, cwd=HERE.parent)
        os.sched_setaffinity(0, allowed)
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
        log.write_bytes((HERE.parent / "fixtures/rpc/dead-port/log.txt").read_bytes()[:2048])
        analyze(log, 1)
        ours = analyze(log, repeats)[0]
    imports = []
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import pydantic, regex, yaml"], check=True)
        imports.append(time.perf_counter() - started)
    return ours, median(imports)


class Table:
    """Rows of passes, each against the first."""

    def __init__(self, size: int) -> None:
        self._size = size / 1e6
        self._rows: list[tuple[str, float]] = []

    def add(self, name: str, seconds: float) -> float:
        self._rows.append((name, seconds))
        print(f"{name}: {seconds:.2f} s", file=sys.stderr)
        return seconds

    def __str__(self) -> str:
        first = self._rows[0][1]
        lines = ["| pass | seconds | MB/s | times rg |", "| --- | ---: | ---: | ---: |"]
        for name, seconds in self._rows:
            lines.append(f"| {name} | {seconds:.2f} | {self._size / seconds:.0f} | {first / seconds:.1f} |")
        return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=loggen.SIZES, default="1GB")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rg-repeats", type=int, default=1, help="of ripgrep with the rule book, which takes minutes")
    parser.add_argument("--rg-mb", type=int, default=0, help="MB of the log for ripgrep with the rule book; 0: all")
    parser.add_argument("--dir", type=Path, default=HERE.parent / "bench-data")
    arguments = parser.parse_args()
    log = loggen.ensure(arguments.dir, arguments.size)
    size, lines = log.stat().st_size, json.loads(log.with_suffix(".json").read_text())["lines"]
    cores, repeats = str(len(os.sched_getaffinity(0))), arguments.repeats

    def scanner(which: str, workers: str, *options: str, again: int = repeats) -> dict[str, Any]:
        return medians("scan", log, again, "--patterns", which, "--workers", workers, *options)

    count = len(passes.patterns("book"))
    book = Table(size)
    part, share = log, 1.0
    if 0 < arguments.rg_mb * 1_000_000 < size:
        part = arguments.dir / "first-part.log"
        with log.open("rb") as file:
            part.write_bytes(file.read(arguments.rg_mb * 1_000_000) + file.readline())
        share = size / part.stat().st_size
    seconds, left_out = rg("book", part, arguments.rg_repeats)
    about = f"{left_out} look-arounds left out" + (f"; {arguments.rg_mb} MB, reckoned up" if part != log else "")
    rg_book = book.add(f"`rg -c -f`, the rule book's {count} patterns ({about})", seconds * share)
    whole, peak = analyze(log, repeats)
    book.add(f"`llmdoctor analyze`, {cores} cores", whole)
    book.add("`llmdoctor analyze`, 1 core", analyze(log, repeats, cores=1)[0])
    scan_book = scanner("book", cores)
    book.add(f"the scanner alone, {cores} cores", scan_book["seconds"])
    book.add("the scanner alone, 1 core", scanner("book", "1")["seconds"])
    book.add("the scanner alone, nothing sampled", scanner("book", cores, "--unsampled", again=1)["seconds"])
    bare_book = medians("bare", log, repeats, "--patterns", "book", "--workers", cores)["seconds"]
    book.add("bare loop: same blocks, same database, empty callback", bare_book)

    few = Table(size)
    seconds, left_out = rg("150", log, repeats)
    rg_few = few.add(f"`rg -c -f`, 150 made-up patterns ({left_out} look-arounds left out)", seconds)
    scan_few = scanner("150", cores)
    few.add(f"the scanner, {cores} cores", scan_few["seconds"])
    few.add("the scanner, 1 core", scanner("150", "1")["seconds"])
    few.add("the scanner, nothing sampled", scanner("150", cores, "--unsampled", again=1)["seconds"])
    bare_few = medians("bare", log, repeats, "--patterns", "150", "--workers", cores)["seconds"]
    few.add("bare loop: same blocks, same database, empty callback", bare_few)
    hundred = few.add("the scanner, 100 patterns", scanner("100", cores)["seconds"])
    thousand = few.add("the scanner, 1000 patterns", scanner("1000", cores)["seconds"])
    small_seconds, imports = small()

    where = f"{cores} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"{log.name}: {size / 1e6:.0f} MB, {lines} lines; {where}; medians of {repeats}\n")
    print(f"{book}\n\n{few}\n\n| figure | measured | wanted |\n| --- | ---: | ---: |")
    print(f"| `analyze` against `rg`, the rule book's patterns | {rg_book / whole:.1f} x | 3 x |")
    print(f"| the scanner alone against `rg`, 150 patterns | {rg_few / scan_few['seconds']:.1f} x | |")
    print(f"| the scanner's share of the bare loop's throughput | {bare_book / scan_book['seconds']:.0%} | 60 % |")
    print(f"| the same with 150 patterns | {bare_few / scan_few['seconds']:.0%} | |")
    print(f"| 1000 patterns against 100 | {thousand / hundred:.2f} x | 1.5 x |")
    planted = min(scan_book["planted"], scan_few["planted"])
    print(f"| planted failures found with the right line | {planted} of 10 | 10 |")
    print(f"| peak memory of `analyze` | {peak / 1e6:.0f} MB | 200 MB |")
    print(f"| `analyze` of a 2 KB log, second call | {small_seconds:.2f} s | {max(0.35, 2.5 * imports):.2f} s |")


if __name__ == "__main__":
    main()
