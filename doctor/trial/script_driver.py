"""The part of a plan that starts engines: copied into the file that ``confirm --script`` writes, with the HTTP client.

It needs nothing but Python, and does by simple means what the supervisor does here: a session of its own, limits, a
deadline, a stall clock, and an end of everything that was started.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from doctor.trial.workload import Client, Workload, is_open, put

PLAN: dict[str, Any] = {}

MOST_LOG = 8 << 20
RESULTS = "llmdoctor-results.json"


def limited(setup: dict[str, Any]) -> Any:
    """Sets a process's limits before it becomes the engine; None where there are none."""
    limits = setup.get("limits") or {}
    if not {"address_space", "locked_memory"} & set(limits):
        return None

    def set_limits() -> None:
        import resource

        for name, which in (("address_space", resource.RLIMIT_AS), ("locked_memory", resource.RLIMIT_MEMLOCK)):
            if name in limits:
                resource.setrlimit(which, (int(limits[name]), int(limits[name])))

    return set_limits


def begin(setup: dict[str, Any], log: Path) -> subprocess.Popen[bytes]:
    environment = {"LLAMA_ARG_LOG_VERBOSITY": "4", "LLAMA_LOG_VERBOSITY": "4", "GGML_NO_BACKTRACE": "1", **os.environ}
    for name, value in (setup.get("env") or {}).items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value
    with log.open("wb") as output:
        return subprocess.Popen(
            [str(word) for word in setup["command"]],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=setup.get("folder"),
            start_new_session=True,
            preexec_fn=limited(setup),  # noqa: PLW1509 - no threads run yet
        )


def end(process: subprocess.Popen[bytes], grace: float) -> None:
    """Ends a process and all of its session."""
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
        with suppress(OSError):
            os.killpg(process.pid, number)
        try:
            process.wait(seconds)
            break
        except subprocess.TimeoutExpired:
            continue
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)


def usage_of(pid: int, found: dict[str, int]) -> None:
    """Peaks of memory and the bytes read, as far as /proc tells (Linux)."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            for name, key in (("RssAnon:", "anonymous"), ("RssFile:", "mapped")):
                if line.startswith(name):
                    found[key] = max(found.get(key, 0), int(line.split()[1]) * 1024)
        for line in Path(f"/proc/{pid}/io").read_text().splitlines():
            if line.startswith("read_bytes:"):
                found["read"] = max(found.get("read", 0), int(line.split()[1]))
    except (OSError, ValueError, IndexError):
        pass


def tail(log: Path) -> str:
    """The log, of a long one its beginning and its end."""
    try:
        data = log.read_bytes()
    except OSError:
        return ""
    if len(data) > MOST_LOG:
        data = data[: MOST_LOG // 4] + b"\n[left out]\n" + data[-MOST_LOG * 3 // 4 :]
    return data.decode("utf-8", "replace")


def trial(which: str, entry: dict[str, Any], folder: Path) -> dict[str, Any]:
    """One trial: its log, its answers, how it ended."""
    setup, address = entry["setup"], entry["address"]
    made: dict[str, Any] = {"which": which, "setup": setup, "answers": [], "usage": {}}
    if "memory" in (setup.get("limits") or {}):
        print("  note: the memory limit of the case is not set here; run this in a container or unit that has it")
    log = folder / f"{which}.log"
    neighbours: list[subprocess.Popen[bytes]] = []
    logs: list[Path] = []
    try:
        for number, beside in enumerate(setup.get("beside") or [], 1):
            logs.append(folder / f"{which}-beside-{number}.log")
            neighbours.append(begin(beside, logs[-1]))
            host, _, port = str(beside.get("listens", "")).rpartition(":")
            limit = time.monotonic() + 20
            while port and not is_open(host, int(port)) and time.monotonic() < limit:
                time.sleep(0.1)
        start = time.monotonic()
        process = begin(setup, log)
    except (OSError, subprocess.SubprocessError) as error:
        for neighbour in neighbours:
            end(neighbour, 1.0)
        made["not_run"] = f"{setup['command'][0]}: {error}"
        return made
    try:
        _work(made, process, address, start, log)
    finally:
        made["seconds"] = time.monotonic() - start
        usage_of(process.pid, made["usage"])
        made["stopped"] = process.poll() is None
        end(process, 1.0 if made.get("hung") else 5.0)
        code = process.returncode
        made["status"] = code if code is not None and code >= 0 else None
        made["signal"] = signal.Signals(-code).name if code is not None and code < 0 else None
        for neighbour in neighbours:
            end(neighbour, 1.0)
        made["log"] = tail(log)
        made["beside"] = [tail(path) for path in logs]
    return made


def _work(made: dict[str, Any], process: subprocess.Popen[bytes], address: Any, start: float, log: Path) -> None:
    stall, deadline = float(PLAN["stall"]), float(PLAN["deadline"])
    if address is None:
        try:
            process.wait(deadline)
            made["ready"] = time.monotonic() - start
        except subprocess.TimeoutExpired:
            made["hung"] = True
        return
    client = Client(address[0], address[1], stall=stall)
    size, heard = -1, start
    while client.state() != "ready":
        usage_of(process.pid, made["usage"])
        if process.poll() is not None:
            return
        now = time.monotonic()
        seen = log.stat().st_size
        if seen != size:
            size, heard = seen, now
        if now - heard > max(stall, 60.0) or now - start > deadline:
            made["hung"] = True
            return
        time.sleep(0.2)
    made["ready"] = time.monotonic() - start
    told = PLAN["workload"]
    wanted = Workload(told["name"], told["tokens"], told["answer"])
    outcome = put(wanted, client, lambda: process.poll() is None, lambda text: print(f"  {text}", flush=True))
    made["hung"] = outcome.stalled
    made["stopped_by"] = outcome.stopped_by
    made["answers"] = [
        {
            "asked": answer.asked, "status": answer.status, "error": answer.error, "tokens": answer.tokens,
            "prompt_tokens": answer.prompt_tokens, "first": answer.first, "rate": answer.rate,
            "prompt_rate": answer.prompt_rate, "stalled": answer.stalled,
        }
        for answer in outcome.answers
    ]  # fmt: skip
    if not outcome.is_through and not outcome.stalled:
        with suppress(subprocess.TimeoutExpired):
            process.wait(2.0)  # an engine that aborts on a request closes the connection first


def main() -> int:
    import shlex
    import tempfile

    print("This starts, on this machine:")
    for which in ("before", "after"):
        print(f"  {which}: {shlex.join(str(word) for word in PLAN[which]['setup']['command'])}")
    if PLAN["manual"]:
        print(f"  between them you will be asked to: {PLAN['manual']}")
    if "--yes" not in sys.argv[1:] and input("Go on? [y/N] ").strip().lower() not in {"y", "yes"}:
        return 1
    trials: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="llmdoctor-plan-") as folder:
        for which in ("before", "after"):
            if which == "after" and PLAN["manual"] and "--yes" not in sys.argv[1:]:
                input(f"Now {PLAN['manual']}, then press Enter. ")
            for number in range(PLAN["repeats"]):
                print(f"{which}, trial {number + 1} of {PLAN['repeats']}", flush=True)
                trials.append(trial(which, PLAN[which], Path(folder)))
    host = f"{platform.system()} {platform.release()} {platform.machine()}"
    results = {"schema": "llmdoctor/results/1", "plan": PLAN, "host": host, "trials": trials}
    Path(RESULTS).write_text(json.dumps(results, indent=1), encoding="utf-8")
    print(f"Wrote {RESULTS}: bring it back with `llmdoctor confirm CASE --results {RESULTS}`")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
