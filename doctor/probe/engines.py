"""Inference engines on this machine: which programs would run, which do, and in which containers."""

from __future__ import annotations

import json
import mmap
import os
import re
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from doctor.probe.ask import NO_GPU, find_tool, is_there, run

# Programs and how each says its version; None: it takes seconds, or there is no such option (see packages instead).
PROGRAMS: dict[str, str | None] = {
    "llama-server": "--version",
    "llama-cli": "--version",
    "llama-bench": None,
    "rpc-server": None,
    "ggml-rpc-server": None,
    "llama-box": "--version",
    "ollama": "--version",
    "koboldcpp": None,
    "llamafile": "--version",
    "lms": None,
    "vllm": None,
    "sglang": None,
    "lmdeploy": None,
    "gpustack": None,
    "ktransformers": None,
    "text-generation-launcher": None,
    "text-generation-server": None,
}
# What a statically linked ggml holds if it was built with that back end: names of its registration functions.
_BACKENDS = {
    "cuda": b"ggml_backend_cuda_reg",
    "hip": b"ggml_backend_hip_reg",
    "vulkan": b"ggml_backend_vk_reg",
    "metal": b"ggml_backend_metal_reg",
    "sycl": b"ggml_backend_sycl_reg",
    "rpc": b"ggml_backend_rpc_reg",
    "cann": b"ggml_backend_cann_reg",
}
_LARGEST_SEARCHED = 400 * 1024 * 1024
# By the program's own file name: a shell that greps for "ollama" is no engine.
ENGINE_PROGRAM = re.compile(
    r"(?:llama-(?:server|cli|box|bench|run)|(?:ggml-)?rpc-server|ollama|ollama_llama_server|koboldcpp\S*|llamafile"
    r"|gpustack|vllm|sglang|lmdeploy|ktransformers|text-generation-\w+|lms|llmster)(?:\.exe)?"
)
_PYTHON_ENGINE = re.compile(
    r"(?:^|[\s/])(?:vllm(?:[./ ]|$)|sglang[./ ]|ktransformers[./ ]|lmdeploy[./ ]|llama_cpp[./ ]|gpustack[./ ]|tgi\b)"
    r"|VLLM::|sglang::"
)
ENGINE_IMAGES = re.compile(
    r"llama|ollama|vllm|sglang|gpustack|text-generation|lmdeploy|kobold|ktransformers|localai", re.I
)
_MOST_PROCESSES = 40


def programs(seconds: float) -> str:
    """Each engine's program wherever PATH has it, as ``type -a`` prints; what the first says of itself.

    Raises:
        FileNotFoundError: there is none.
    """
    end = time.monotonic() + seconds
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    lines: list[str] = []
    for name, option in PROGRAMS.items():
        places = [path for path in (folder / name for folder in dict.fromkeys(folders)) if _is_program(path)]
        lines += [f"{name} is {path}" for path in places]
        if not places:
            continue
        real = places[0].resolve()
        if real != places[0]:
            lines.append(f"{places[0]} -> {real}")
        if option is not None and (left := end - time.monotonic()) > 0.1:
            ran = run([str(places[0]), option], min(left, 1.0), env=NO_GPU)
            lines.append(f"$ {places[0]} {option}")
            said = [line for line in (ran.output + ran.errors).splitlines() if line.strip()][:12]
            lines += said or [f"(no answer within {ran.seconds:.1f} s)" if ran.exit is None else f"(exit {ran.exit})"]
        lines += [f"ggml back end {backend}: {where}" for backend, where in _backends(real)]
    lines += _embedded()
    if not lines:
        raise FileNotFoundError(2, "no engine's program on PATH")
    return "\n".join(lines) + "\n"


def _is_program(path: Path) -> bool:
    with suppress(OSError):
        return path.is_file() and os.access(path, os.X_OK)
    return False


def _embedded() -> list[str]:
    """llama-cpp-python of each interpreter, in the words of ``type -a`` too: llama.cpp as a library of its own build.

    Nothing is imported. ``LLAMA_CPP_LIB_PATH`` names another folder of libraries, as the package itself has it.
    """
    from doctor.probe.packages import site_folders

    lines: list[str] = []
    sites = dict.fromkeys(folder for interpreter in python_interpreters() for folder in site_folders(interpreter))
    for site in sites:
        with suppress(OSError):
            infos = sorted(site.glob("llama_cpp_python-*.dist-info"))
            package = site / "llama_cpp"
            if not infos or not package.is_dir():
                continue
            version = infos[-1].name.split("-")[1].removesuffix(".dist")
            lines += [
                f"llama-cpp-python is {package}",
                f"$ {package} --version",
                f"llama-cpp-python version: {version}",
            ]
            library = Path(os.environ.get("LLAMA_CPP_LIB_PATH") or package / "lib")
            found = _libraries([library]) | _linked([*library.glob("libllama.*"), *library.glob("libggml.*")])
            lines += [f"ggml back end {backend}: {where}" for backend, where in sorted(found.items())]
    return lines


def _backends(program: Path) -> list[tuple[str, str]]:
    """The back ends that a ggml program has: as libraries beside it, or linked into it."""
    folder = program.parent
    places = (folder, folder.parent / "lib", folder.parent / "lib" / "ollama", *_ollama_folders(folder))
    return sorted((_linked([program]) | _libraries(places)).items())


def _libraries(places: Iterable[Path]) -> dict[str, str]:
    """Back ends as libraries of their own, and where."""
    found: dict[str, str] = {}
    for place in places:
        with suppress(OSError):
            for library in sorted(place.glob("*ggml-*")):
                named = re.match(r"(?:lib)?ggml-([a-z]+?)(?:-\w+)?\.(?:so|dylib|dll)", library.name)
                if named and named[1] != "base":
                    found.setdefault(named[1], str(library))
    return found


def _linked(files: Iterable[Path]) -> dict[str, str]:
    """Back ends that are linked into a program or library of ggml."""
    found: dict[str, str] = {}
    for path in files:
        with suppress(OSError, ValueError):
            if path.stat().st_size > _LARGEST_SEARCHED:
                continue
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                if data[:2] != b"#!" and data.find(b"ggml_backend_") >= 0:
                    found |= {backend: "in the program" for backend, word in _BACKENDS.items() if data.find(word) >= 0}
    return found


def _ollama_folders(folder: Path) -> list[Path]:
    return [path for path in (folder.parent / "lib" / "ollama").glob("*") if path.is_dir()]


def processes(_seconds: float) -> str:
    """Engines that run, and what else holds most memory, as ``ps -eo pid,user,rss,etimes,args`` prints them."""
    import psutil

    rows: list[tuple[bool, int, str]] = []
    now = time.time()
    for process in psutil.process_iter(["pid", "username", "memory_info", "create_time", "cmdline", "name"]):
        info = process.info
        words = info["cmdline"] or []
        rss = info["memory_info"].rss if info["memory_info"] else 0
        if not words or not rss:
            continue
        age = max(0, int(now - (info["create_time"] or now)))
        # the arguments of what is no engine are nobody's business
        args = " ".join(words if is_engine(words) else words[:1])[:2000].replace("\n", " ")
        row = f"{info['pid']:>7} {str(info['username'] or '?')[:32]:<8} {rss // 1024:>8} {age:>7} {args}"
        rows.append((is_engine(words), rss, row))
    engines = [row for engine, _, row in rows if engine][:_MOST_PROCESSES]
    others = sorted(((rss, row) for engine, rss, row in rows if not engine), reverse=True)[:8]
    header = "    PID USER          RSS ELAPSED COMMAND"
    return "\n".join([header, *engines, *(row for _, row in others)]) + "\n"


def is_engine(words: list[str]) -> bool:
    """Whether a command line is an engine's: its program, or the script or module that Python runs."""
    program = re.split(r"[/\\]", words[0])[-1]
    if ENGINE_PROGRAM.fullmatch(program) or words[0].startswith(("VLLM::", "sglang::")):
        return True
    return program.startswith("python") and bool(_PYTHON_ENGINE.search(" ".join(words[1:4])))


def containers(seconds: float) -> str:
    """``docker inspect`` (or podman's) of the containers whose image or name is an engine's.

    Raises:
        FileNotFoundError, PermissionError, TimeoutError: no such tool, no right to it, no answer.
    """
    end = time.monotonic() + seconds
    tool = find_tool("docker") or find_tool("podman")
    if tool is None:
        raise FileNotFoundError(2, "neither docker nor podman on PATH")
    ran = run([tool, "ps", "--all", "--no-trunc", "--format", "{{.ID}}\t{{.Image}}\t{{.Names}}"], seconds)
    answer = ran.answer("", "")
    if answer.status.value != "ok":
        kinds = {"not_permitted": PermissionError, "timed_out": TimeoutError, "absent": FileNotFoundError}
        raise kinds.get(answer.status.value, OSError)(5, answer.reason)
    rows = [line.split("\t") for line in ran.output.splitlines()]
    wanted = [row[0] for row in rows if len(row) == 3 and ENGINE_IMAGES.search(f"{row[1]} {row[2]}")][:16]
    if not wanted:
        raise FileNotFoundError(2, f"none of {len(rows)} containers is an engine's")
    inspected = run([tool, "inspect", *wanted], max(0.1, end - time.monotonic()))
    return shortened(inspected.output)


def shortened(text: str) -> str:
    """The parts of ``docker inspect`` that matter, in its own shape; the whole names every layer and mount."""
    keep: dict[str, tuple[str, ...]] = {
        "State": ("Status", "Running", "OOMKilled", "ExitCode", "Error", "StartedAt", "FinishedAt"),
        "HostConfig": (
            *(
                "Memory",
                "MemorySwap",
                "NanoCpus",
                "CpusetCpus",
                "ShmSize",
                "IpcMode",
                "PidMode",
                "Privileged",
                "Runtime",
            ),
            *("DeviceRequests", "Devices", "Ulimits", "RestartPolicy", "NetworkMode", "OomKillDisable", "Binds"),
        ),
        "Config": ("Image", "Env", "Cmd", "Entrypoint"),
    }
    compose = "com.docker.compose.project.config_files"
    try:
        documents = json.loads(text)
    except ValueError:
        return text
    chosen = []
    for document in documents if isinstance(documents, list) else []:
        part: dict[str, Any] = {"Name": document.get("Name"), "RestartCount": document.get("RestartCount")}
        for section, names in keep.items():
            part[section] = {name: document[section][name] for name in names if name in (document.get(section) or {})}
        labels = (document.get("Config") or {}).get("Labels") or {}
        if compose in labels:
            part["Config"]["Labels"] = {compose: labels[compose]}
        chosen.append(part)
    return json.dumps(chosen, indent=4) + "\n"


def python_interpreters() -> list[Path]:
    """The interpreters that an engine here may run in: those on PATH, of its scripts, of the environment."""
    found = [Path(sys.executable)] if sys.executable else []
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        found += [Path(folder) / name for name in ("python3", "python") if folder]
        for script in ("vllm", "sglang", "lmdeploy", "gpustack", "ktransformers"):
            with suppress(OSError):
                with (Path(folder) / script).open("rb") as file:
                    first = file.readline(300).decode("utf-8", "replace")
                if named := re.match(r"#!\s*(\S*python\S*)", first):
                    found.append(Path(named[1]))
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if os.environ.get(name):
            found.append(Path(os.environ[name]) / "bin" / "python3")
    return [path for path in dict.fromkeys(found) if is_there(path)]
