"""One pass over a log, in a process of its own: prints what it took as JSON. Called by ``bench_scan.py``.

python benchmarks/passes.py scan  FILE --patterns 150 --workers 2
python benchmarks/passes.py bare  FILE --patterns 150 --workers 2
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import patternset

from doctor.scan.blocks import Blocks
from doctor.scan.collect import FULL_BLOCKS, PIECE_BYTES
from doctor.scan.database import Database
from doctor.scan.engines import LINES_A_MARK
from doctor.scan.patterns import Pattern
from doctor.scan.scanner import FULL_BYTES, scan


def patterns(which: str) -> list[Pattern]:
    """``150``: so many, none from the rule book. ``book``: the rule book alone. ``book+1000``: filled up to 1000."""
    if not which.startswith("book"):
        return patternset.pattern_set(int(which))
    from doctor.rulebook.book import load_book

    real = load_book().patterns()
    count = int(which.partition("+")[2] or 0)
    return patternset.pattern_set(max(count, len(real) + len(patternset.planted())), real)


def scan_pass(path: Path, database: Database, workers: int) -> dict[str, Any]:
    """The scanner, and whether it found what is planted."""
    started = time.perf_counter()
    with path.open("rb", buffering=0) as stream:
        found = scan(stream, database, size=path.stat().st_size, workers=workers)
    seconds = time.perf_counter() - started
    about = json.loads(path.with_suffix(".json").read_text())
    planted = {(f"planted.{each['name']}", each["line"]) for each in about["planted"]}
    seen = {(hit.key, hit.line.number) for hit in found.hits if hit.key.startswith("planted.")}
    return {
        "seconds": seconds,
        "planted": len(planted & seen),
        "wrong": len(seen - planted),
        "lines_right": found.lines == about["lines"],
        "hits": len(found.hits),
        "sampled": found.sampled,
        "problems": found.problems,
    }


def bare_pass(path: Path, database: Database, workers: int, count: str) -> dict[str, Any]:
    """The same file in the same blocks with the same compiled patterns, flags and number of workers, and nothing else:
    newlines are counted, the callback is empty. As in the scanner, dense patterns are searched for in the same pieces.
    """
    import hyperscan

    rare = database._engines["rare"]
    compiled = rare.database  # type: ignore[attr-defined]
    # None where no pattern is dense.
    dense, sample = (getattr(database._engines[flavour], "database", None) for flavour in ("dense", "sample"))
    newlines: list[int] = []

    def work(blocks: Blocks) -> None:
        scratch = hyperscan.Scratch(compiled)
        scratches = {each: hyperscan.Scratch(each) for each in (dense, sample) if each}
        marks = rare.searcher().marks
        buffer = bytearray(blocks.block_bytes)
        total = 0
        while (block := blocks.take(buffer)) is not None:
            with memoryview(block.text) as view, view[: block.size] as data:
                compiled.scan(data, match_event_handler=lambda *_: None, scratch=scratch)
                if dense:
                    full = block.number < FULL_BLOCKS or block.final
                    wanted, some = (dense, data) if full else (sample, data[:PIECE_BYTES])
                    wanted.scan(some, match_event_handler=lambda *_: None, scratch=scratches[wanted])
                if count == "hyperscan":
                    found = marks(data)
                    total += LINES_A_MARK * len(found) + buffer.count(b"\n", found[-1] if found else 0, block.size)
                else:
                    total += buffer.count(b"\n", 0, block.size)
        newlines.append(total)

    started = time.perf_counter()
    with path.open("rb", buffering=0) as stream:
        blocks = Blocks(b"", stream)
        threads = [threading.Thread(target=work, args=(blocks,)) for _ in range(workers - 1)]
        for thread in threads:
            thread.start()
        work(blocks)
        for thread in threads:
            thread.join()
    seconds = time.perf_counter() - started
    about = json.loads(path.with_suffix(".json").read_text())
    return {"seconds": seconds, "lines_right": sum(newlines) + 1 == about["lines"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("scan", "bare"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--patterns", default="150")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--unsampled", action="store_true", help="no pattern is dense")
    parser.add_argument("--count", choices=("python", "hyperscan"), default="python", help="how bare counts newlines")
    arguments = parser.parse_args()
    assert arguments.file.stat().st_size > FULL_BYTES, "small inputs are searched in full: nothing to compare"
    chosen = patterns(arguments.patterns)
    if arguments.unsampled:
        chosen = [replace(pattern, dense=False) for pattern in chosen]
    database = Database(chosen)
    for flavour in ("rare", "once", "dense", "sample"):
        database.searcher(flavour)
    if arguments.kind == "scan":
        result = scan_pass(arguments.file, database, arguments.workers)
    else:
        result = bare_pass(arguments.file, database, arguments.workers, arguments.count)
    result["patterns"] = len(chosen)
    result["rss"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    cpu = resource.getrusage(resource.RUSAGE_SELF)
    result["cpu"] = cpu.ru_utime + cpu.ru_stime
    print(json.dumps(result))


if __name__ == "__main__":
    main()
