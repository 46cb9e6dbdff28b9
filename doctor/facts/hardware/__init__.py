"""Saved command output: one text may hold several outputs, with or without the prompts and commands between them.

Most texts are logs without any such output, so a reader is imported only when one of its words is in the text, and its
marker is tried on the lines with such a word only.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from importlib import import_module
from typing import Any, cast

from doctor.facts.hardware.reading import IDENTITY, Block, Reader, Reading, merge
from doctor.vocabulary.facts import Record

__all__ = ["IDENTITY", "READERS", "Block", "Reader", "Reading", "merge", "read_hardware", "reader"]

# Reader -> words; its marker is tried on the lines that hold one of them. The order is that of asking.
READERS: dict[str, tuple[str, ...]] = {
    "nvidia_smi": ("NVIDIA-SMI", "NVML", "No devices were found", "Unable to determine the device handle"),
    "nvidia_smi_q": ("NVSMI LOG",),
    "nvidia_xml": ("<nvidia_smi_log",),
    "nvidia_topo": ("GPU0 ", "GPU0\t"),
    "nvidia_csv": ("memory.", "utilization.gpu", "driver_version", "used_gpu_memory", "power.limit", "--query-"),
    "rocm_smi": ("ROCm System Management", "GPU[", '"card'),
    "amd_smi": ('"gpu_data"', '"gpu": '),
    "xpu": ("Device Information", '"device_list"', "[level_zero:", "[opencl:"),
    "npu_smi": ("| npu-smi ",),
    "numactl": ("available: ", "No NUMA available", "policy: "),
    "numastat": ("Per-node process memory usage",),
    "numa_maps": (
        *(" default file=", " default anon=", " default mapped=", " default heap", " default stack", " default\n"),
        *(" local ", " bind:", " interleave:", " prefer:", " prefer=", " weighted interleave:"),
    ),
    "free": (
        *("total  ", "gesamt  ", "总计", "總計", "全部", "合計", "всего  ", "всього  ", "razem  ", "suma  "),
        *("totalt  ", "totale  ", "totaal  ", "celkem  ", "összesen  ", "toplam  ", " free -", " free\n"),
    ),
    "meminfo": ("MemTotal:",),
    "cpuinfo": ("processor\t:", "processor :"),
    "lscpu": ("rchite", "rquite", "Архитектура", "架构", "架構", "アーキテクチャ"),
    "ulimit": ("unlimited", "(kbytes", "(blocks", "(-n)", "files", "ulimit", "memory(", "locks", "locked"),
    "proc_limits": ("Soft Limit", "Max locked", "Max address", "Max open"),
    "df": (
        "Filesystem",
        "Dateisystem",
        "fichiers",
        "S.ficheros",
        "Sist. Arq.",
        "文件系统",
        "檔案",
        "ファイルシス",
        "Файл",
    ),
    "ollama_ps": ("PROCESSOR",),
    "lsblk": ("NAME ",),
    "file_sizes": (
        *(".gguf", ".safetensors", ".bin", ".pt", ".ggml", ".onnx", "ls ", "du ", ":\n", "\t"),
        *("T /", "G /", "M /", "K /", "T .", "G .", "M .", "K ."),
    ),
    "cgroup": (":/\n", "0::/", ":memory:/"),
    "sysfs": (
        *(
            "/sys/bus/pci/devices/",
            "/sys/class/",
            "/sys/devices/",
            "/sys/kernel/mm/",
            "/sys/module/",
            "/proc/pressure/",
        ),
        *("/proc/sys/vm/swappiness:", "/proc/sys/vm/nr_hugepages:", "[03", "[12", " 03"),
    ),
    "kernel_values": ("vm.", "kernel.", "hw.", "iogpu.", "/proc/sys/", "/sys/fs/cgroup/"),
    "system": (
        *("Linux ", "Darwin ", "PRETTY_NAME=", "ProductName:", "NVRM version:", "# R3", "NVIDIA Jetson"),
        "NVIDIA Container Toolkit CLI version",
    ),
    "vulkaninfo": ("VULKANINFO", "GPU0:"),
    "docker": (
        "MEM USAGE / LIMIT",
        '"Id": "',
        '"Name": "/',
        '"OOMKilled"',
        '"HostConfig"',
        '"MemorySwap"',
        '"ShmSize"',
    ),
    "kube": ("containerStatuses", "Name:  "),
    "apple": ("Hardware Overview:", "Graphics/Displays:"),
    "vmstat": ("procs --",),
    "vm_stat": ("Mach Virtual Memory", "vm.swapusage"),
    "ps": ("PID ",),
    "pip": ("==", "Package ", "# Name ", "PyTorch", "Nvidia driver version", "vLLM Version", "pip freeze", "pip list"),
    "programs": (" is /",),
    "endpoints": ("curl -", "RPC_CMD_HELLO"),
    "services": ("LoadState=", "ExecMainStatus=", "FragmentPath=", "NRestarts=", "Id="),
    "device_files": ("crw", "uid=", "/.dockerenv", "/run/.containerenv", "container="),
    "probe_values": ("# llmdoctor/probe/",),
}

_MAX_LINES = 200_000  # saved outputs are short; more than this is a log
_MAX_BLOCK = 20_000
_MAX_WIDTH = 20_000
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def reader(name: str) -> Reader:
    """The reader of that name."""
    return cast(Reader, import_module(f"{__name__}.{name}"))


def read_hardware(text: str, path: str) -> Reading:
    """Finds every known output in a text.

    Args:
        text: the decoded text of a file, a paste, or several outputs one after another.
        path: its name, for the origin of every value.

    Returns:
        Facts and records under their catalogue names, each with path and line; the blocks that were recognised; and
        sentences about what could not be read. Never raises for any text. Elements seen twice (a device in two
        tables) are merged, the later figures win.
    """
    if "memory." in path or len(text) < 64:
        from doctor.facts.hardware import kernel_values

        if (whole := kernel_values.of_file(text, path)) is not None:
            return whole
    reading = Reading()
    text = text.replace("\r\n", "\n")
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    lines = [line if len(line) <= _MAX_WIDTH else line[:_MAX_WIDTH] for line in text.split("\n")]
    if len(lines) > _MAX_LINES:
        reading.problems.append(f"only the first {_MAX_LINES} lines were searched for command output")
        del lines[_MAX_LINES:]
    done = 0
    for i, likely in sorted(_candidates(text).items()):
        if done <= i < len(lines) and (block := _read_at(likely, lines, i, path, reading)):
            done = block.last_line
    reading.records = merge(reading.records)
    for record in reading.records:
        if record.kind == "device":
            _complete(record.fields)
    reading.records += [
        _card(record) for record in reading.records if record.kind == "device" and "used" in record.fields
    ]
    return reading


def _complete(device: dict[str, Any]) -> None:
    """What two figures of one device say together."""
    lanes, most = device.get("pcie_width"), device.get("pcie_width_max")
    if lanes and most:
        device["pcie_lanes_missing"] = max(0, most - lanes)
    if "throttle" in device:
        # a power limit is a wish of somebody; a bare slowdown is also reported while clocks change
        device["overheated"] = not {"hw_thermal", "thermal", "power_brake"}.isdisjoint(device["throttle"])
    if device.keys() & {"ecc", "remap_failed", "reset_required"}:
        wrong = device.get("ecc_uncorrected") or device.get("remap_failed") or device.get("reset_required")
        device["broken"] = bool(wrong)


def _card(device: Record) -> Record:
    """The card as a monitor counts it: an engine has an order of its own, and its records hide these."""
    named = {"index", "description", "total", "used"}
    fields = {name: value for name, value in device.fields.items() if name in named}
    return Record("card", fields, device.origin)


def _candidates(text: str) -> dict[int, list[Reader]]:
    """The lines (counted from 0) with words of a reader, and those readers."""
    starts = [0, *(found.end() for found in re.finditer("\n", text))]
    candidates: dict[int, list[Reader]] = {}
    for name, words in READERS.items():
        lines: set[int] = set()
        for word in words:
            at = text.find(word)
            while at >= 0:
                line = bisect_right(starts, at) - 1
                lines.add(line)
                at = text.find(word, starts[line + 1]) if line + 1 < len(starts) else -1
        if lines:
            module = reader(name)
            for line in lines:
                candidates.setdefault(line, []).append(module)
    return candidates


def _read_at(likely: list[Reader], lines: list[str], i: int, path: str, reading: Reading) -> Block | None:
    """Lets the readers whose marker matches line ``i`` try; adds the first result that claims a block."""
    for candidate in likely:
        if not candidate.marker.search(lines[i]):
            continue
        try:
            found = candidate.read(lines[i : i + _MAX_BLOCK], i + 1, path)
        except Exception as error:  # a defect of one reader must not cost the others' results
            reading.problems.append(f"{candidate.kind} output at line {i + 1}: {type(error).__name__} while reading it")
            continue
        if found.blocks:
            reading.extend(found)
            return found.blocks[-1]
    return None
