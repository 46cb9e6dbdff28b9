"""Starts llama-server on models of ``modelgen.py`` with many settings, and records the buffers that it prints.

    python benchmarks/memory_runs.py --engine build/bin --models bench-data/models

The record (``tests/planning/recorded.json``) is what ``bench_memory.py`` and the fast tests compare the plan with. No
weight matters and no token is computed, so a run takes about a second.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelgen import SPECS

RECORD = Path(__file__).parents[1] / "tests/planning/recorded.json"
_BUFFER = re.compile(
    r"(?P<device>[\w\[\]:.]+) +(?P<kind>model|KV|RS|compute|output) buffer size = +(?P<mib>[\d.]+) MiB"
)
_FAILED = re.compile(r"error loading model.*|failed to .*|GGML_ASSERT.*")

VARIANTS = (
    ["-c", "4096", "-np", "1"],
    ["-c", "16384", "-np", "1", "-ub", "1024"],
    ["-c", "8192", "-np", "4"],
    ["-c", "8192"],
    ["-c", "8192", "-np", "1", "-ctk", "q8_0", "-ctv", "q8_0"],
    ["-c", "3000", "-np", "2", "-fa", "off"],
)
DEVICES = (
    ("llama-8b", ["-c", "8192", "-np", "1", "-ngl", "99"]),
    ("llama-8b", ["-c", "8192", "-np", "1", "-ngl", "3"]),
    ("llama-8b", ["-c", "8192", "-np", "1", "-ngl", "99", "-ts", "3,1"]),
    ("llama-8b", ["-c", "8192", "-np", "1", "-ngl", "99", "-nkvo"]),
    ("llama-tied", ["-c", "8192", "-np", "1", "-ngl", "99"]),
    ("llama-tied", ["-c", "8192", "-np", "1", "-ngl", "4", "-ts", "1,1"]),
    ("gemma3-12b", ["-c", "8192", "-np", "1", "-ngl", "99", "-ts", "1,2"]),
    ("qwen3moe-30b", ["-c", "8192", "-np", "1", "-ngl", "99"]),
    ("qwen3moe-30b", ["-c", "8192", "-np", "1", "-ngl", "99", "-ncmoe", "1"]),
    ("gpt-oss-20b", ["-c", "8192", "-np", "1", "-ngl", "99", "-ot", "exps=CPU"]),
    ("deepseek-v3", ["-c", "8192", "-np", "1", "-ngl", "99", "-ts", "1,1"]),
    ("jamba", ["-c", "8192", "-np", "1", "-ngl", "99", "-ts", "1,1"]),
    ("qwen3next", ["-c", "8192", "-np", "2", "-ngl", "99"]),
)
"""Runs with RPC workers, which are devices to the engine: two of them where the layers are split, else one."""


def run(engine: Path, model: Path, arguments: list[str], seconds: float = 60) -> dict[str, Any]:
    """The buffers of one start: device, kind and MiB as printed; ``failed`` if it did not come up."""
    command = [str(engine / "llama-server"), "-m", str(model), "--port", str(_free_port()), "--no-warmup"]
    command += ["-fit", "off", "-lv", "4", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    buffers: list[list[Any]] = []
    failed, end = "", time.monotonic() + seconds
    try:
        assert process.stdout
        for line in process.stdout:
            if found := _BUFFER.search(line):
                buffers.append([found["device"], found["kind"], float(found["mib"])])
            elif (wrong := _FAILED.search(line)) and not failed:
                failed = wrong[0][:200]
            if "listening on" in line or time.monotonic() > end:
                break
    finally:
        process.kill()
        process.wait()
    return {"arguments": arguments, "buffers": buffers, **({"failed": failed} if failed else {})}


@contextmanager
def workers(engine: Path, count: int) -> Iterator[list[str]]:
    """RPC workers on this machine: host:port of each."""
    found, ports = [], [_free_port() for _ in range(count)]
    try:
        for port in ports:
            command = [str(engine / "ggml-rpc-server"), "-H", "127.0.0.1", "-p", str(port)]
            found.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        time.sleep(0.5)
        yield [f"127.0.0.1:{port}" for port in ports]
    finally:
        for worker in found:
            worker.kill()
            worker.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def record(engine: Path, models: Path, names: list[str]) -> list[dict[str, Any]]:
    found = []
    for name in names:
        for arguments in VARIANTS:
            result = {"model": name, "devices": [], **run(engine, models / f"{name}.gguf", arguments)}
            print(name, *arguments, "->", result.get("failed") or len(result["buffers"]), flush=True)
            found.append(result)
    for name, arguments in DEVICES:
        if name not in names:
            continue
        with workers(engine, 2 if "-ts" in arguments else 1) as endpoints:
            result = run(engine, models / f"{name}.gguf", [*arguments, "--rpc", ",".join(endpoints)])
            labels = [f"RPC{index}" for index in range(len(endpoints))]
            for buffer in result["buffers"]:  # RPC0[127.0.0.1:50052]: the endpoint tells the worker
                found_at = next((i for i, endpoint in enumerate(endpoints) if f"[{endpoint}]" in buffer[0]), None)
                buffer[0] = buffer[0] if found_at is None else labels[found_at]
            result |= {"arguments": arguments}
            print(name, *arguments, "->", result.get("failed") or len(result["buffers"]), flush=True)
            found.append({"model": name, "devices": labels, **result})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", type=Path, required=True, help="folder of llama-server and ggml-rpc-server")
    parser.add_argument("--models", type=Path, default=Path("bench-data/models"))
    parser.add_argument("--out", type=Path, default=RECORD)
    parser.add_argument("names", nargs="*", default=list(SPECS), metavar="NAME")
    given = parser.parse_args()
    version = subprocess.run([given.engine / "llama-server", "--version"], capture_output=True, text=True, check=True)
    words = (version.stdout + version.stderr).splitlines()
    engine = next((line.removeprefix("version: ") for line in words if line.startswith("version: ")), "")
    runs = record(given.engine, given.models, given.names)
    lines = ",\n".join("    " + json.dumps(entry) for entry in runs)
    given.out.write_text(f'{{\n  "engine": {json.dumps(f"llama.cpp {engine}")},\n  "runs": [\n{lines}\n  ]\n}}\n')


if __name__ == "__main__":
    main()
