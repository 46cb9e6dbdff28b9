"""What a machine is asked, by platform. Only a question's name is known to others; what it means, the readers know."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from functools import partial

from doctor.probe import engines, host, network, nvml, packages
from doctor.probe.ask import Ask, Call, Command, Either, Files

_ROCM = ("/opt/rocm/bin",)
_ASCEND = ("/usr/local/Ascend/driver/tools", "/usr/local/sbin", "/usr/local/bin")
_CUDA = ("/usr/lib/wsl/lib", "/usr/local/cuda/bin", "/usr/local/nvidia/bin")
# What the kernel says about memory, GPUs, disks and processes that died; the words of rules/dialects/linux-kernel.yaml.
KERNEL_WORDS = re.compile(
    r"oom|[Oo]ut of memory|[Kk]illed process|page allocation failure|NVRM|Xid|nvidia|amdgpu|radeon|\bi915\b|\bxe \d{4}:"
    r"|ring .{0,40}timeout|GPU reset|GPU hang|segfault|traps:|general protection|blocked for more than|soft lockup"
    r"|I/O error|mce:|Hardware Error|EXT4-fs error|XFS .{0,60}(?:error|corrupt)|Linux version|Memory cgroup"
    r"|memory: usage|AER:|PCIe Bus Error|thermal throttl|NUMA balancing"
    r"|AMD-Vi: .{0,40}(?:FAULT|Event)|DMAR: .{0,40}fault"
)
_CLOCKS = re.compile(r"<supported_graphics_clock>|</?supported_mem_clock>")  # hundreds of lines for each GPU
_UNITS = (
    "ollama",
    "gpustack",
    "gpustack-worker",
    "vllm",
    "sglang",
    "llama-server",
    "llama-cpp",
    "llamacpp",
    "llama-box",
)
_UNIT_PROPERTIES = (
    *("Id", "LoadState", "ActiveState", "SubState", "Result", "ExecMainStatus", "NRestarts", "FragmentPath"),
    *("DropInPaths", "ExecStart", "Environment", "EnvironmentFiles", "User", "MemoryMax", "MemoryCurrent"),
    *("LimitMEMLOCK", "LimitAS", "LimitNOFILE", "PrivateDevices", "DeviceAllow", "SupplementaryGroups"),
)


# Questions that only these engines' users ask; all others are of the machine.
_ONLY_FOR = {
    "ollama ps": ("ollama", "gpustack"),
    "sycl-ls": ("llama.cpp", "ollama", "ipex-llm", "sglang", "vllm"),
    "vulkaninfo": ("llama.cpp", "ollama", "koboldcpp", "lm studio", "llamafile", "gpustack"),
    "npu-smi": ("vllm", "llama.cpp", "gpustack", "lmdeploy", "llama-box", "sglang"),
    "packages": ("vllm", "sglang", "lmdeploy", "ktransformers", "llama-cpp-python", "tgi", "ipex-llm", "gpustack"),
    "xpu-smi": ("llama.cpp", "vllm", "ipex-llm", "ollama"),
}


def questions(model_folders: Sequence[str] = (), engine: str | None = None) -> list[Ask]:
    """All questions for this platform, GPUs first; without those that another engine's users ask."""
    named = (engine or "").lower()
    return [ask for ask in _all(model_folders) if not named or named in _ONLY_FOR.get(ask.name, (named,))]


def _all(model_folders: Sequence[str]) -> list[Ask]:
    common: list[Ask] = [
        Call("programs", "type -a ENGINES", engines.programs),
        Call("packages", "pip freeze", packages.packages),
        Call("processes", "ps -eo pid,user,rss,etimes,args", engines.processes),
        Call("environment", "env", host.environment),
        Call("endpoints", "GET /health /v1/models /props /metrics", network.endpoints),
        Command("ollama ps", ("ollama", "ps"), env={"OLLAMA_NOPRUNE": "1"}),
        Call("df", "df -kTP FOLDERS", partial(host.disk_space, named=model_folders)),
        Call("containers", "docker inspect", engines.containers),
    ]
    if sys.platform == "darwin":
        return [_UNAME, *_MACOS, *common]
    return [_UNAME, *_GPUS, *_linux_host(), *common] if sys.platform.startswith("linux") else [_UNAME, *common]


_UNAME = Call("uname", "uname -a", host.uname)
_GPUS: list[Ask] = [
    Either(
        (
            Call("nvidia-smi", nvml.ASKED, nvml.question),
            Command("nvidia-smi", ("nvidia-smi", "-q", "-x"), places=_CUDA, unwanted=_CLOCKS),
        )
    ),
    Command(
        "nvidia-smi capability",
        ("nvidia-smi", "--query-gpu=index,name,memory.total,compute_cap", "--format=csv"),
        places=_CUDA,
    ),
    Command("nvidia-smi topo", ("nvidia-smi", "topo", "-m"), places=_CUDA),
    Command("nvidia-smi p2p", ("nvidia-smi", "topo", "-p2p", "r"), places=_CUDA),
    Files("nvidia driver", ("/proc/driver/nvidia/version",), labelled=False),
    Command(
        "rocm-smi",
        ("rocm-smi", "--showproductname", "--showmeminfo", "vram", "--showuse", "--showdriverversion", "--json"),
        places=_ROCM,
    ),
    Command("amd-smi static", ("amd-smi", "static", "--asic", "--vram", "--driver", "--bus", "--json"), places=_ROCM),
    Command("amd-smi metric", ("amd-smi", "metric", "--mem-usage", "--usage", "--power", "--json"), places=_ROCM),
    Command("xpu-smi", ("xpu-smi", "discovery", "-j")),
    Command("sycl-ls", ("sycl-ls",)),
    Command("vulkaninfo", ("vulkaninfo", "--summary")),
    Command("npu-smi", ("npu-smi", "info"), places=_ASCEND),
    Call("pci", "lspci -nk", host.pci_gpus),
    Files("kfd", ("/sys/class/kfd/kfd/topology/nodes/*/properties",)),
    Files("kernel modules", ("/sys/module/nvidia/version", "/sys/module/amdgpu/version")),
    Call("gpu device files", "ls -l /dev/nvidia* /dev/kfd /dev/dri /dev/davinci*", host.device_files),
    Files("jetson", ("/etc/nv_tegra_release", "/proc/device-tree/model"), labelled=False),
]


def _linux_host() -> list[Ask]:
    units = [f"{unit}.service" for unit in _UNITS]
    return [
        Files("meminfo", ("/proc/meminfo",), labelled=False),
        Call("cpuinfo", "cat /proc/cpuinfo", host.cpuinfo),
        Command("lscpu", ("lscpu",)),
        Files("numa", ("/sys/devices/system/node/online", "/sys/devices/system/node/node[0-9]*/distance")),
        Call("numa nodes", "cat /sys/devices/system/node/node*/meminfo", host.numa_meminfo),
        Call("cgroup", "cat /proc/self/cgroup; grep -H '' CGROUP/*", host.cgroup),
        Files("limits", ("/proc/self/limits",), labelled=False),
        Files("pressure", ("/proc/pressure/cpu", "/proc/pressure/io", "/proc/pressure/memory")),
        Files(
            "sysctl",
            (
                *("/proc/sys/vm/overcommit_memory", "/proc/sys/vm/overcommit_ratio", "/proc/sys/vm/max_map_count"),
                *("/proc/sys/vm/swappiness", "/proc/sys/vm/nr_hugepages", "/proc/sys/kernel/numa_balancing"),
                *(
                    "/sys/kernel/mm/transparent_hugepage/enabled",
                    "/sys/devices/system/cpu/cpufreq/policy0/scaling_governor",
                ),
            ),
        ),
        Files("os-release", ("/etc/os-release",), labelled=False),
        Call("container", "ls /.dockerenv /run/.containerenv; id", host.surroundings),
        Command("lsblk", ("lsblk", "-b", "-o", "NAME,TYPE,ROTA,TRAN,SIZE,MODEL,MOUNTPOINT")),
        Command("kernel log", ("dmesg",), keep_end=True, wanted=KERNEL_WORDS),
        Command(
            "kernel journal",
            ("journalctl", "--dmesg", "--boot", "--lines=5000", "--output=short-iso", "--no-pager", "--quiet"),
            keep_end=True,
            wanted=KERNEL_WORDS,
        ),
        Command("services", ("systemctl", "show", "--no-pager", f"--property={','.join(_UNIT_PROPERTIES)}", *units)),
        Command("container toolkit", ("nvidia-ctk", "--version")),
    ]


_MACOS: list[Ask] = [
    Command("system_profiler", ("system_profiler", "-detailLevel", "mini", "SPHardwareDataType", "SPDisplaysDataType")),
    Command("sysctl", ("sysctl", "hw.memsize", "hw.physicalcpu", "hw.logicalcpu", "iogpu", "vm.swapusage")),
    Command("vm_stat", ("vm_stat",)),
    Command("sw_vers", ("sw_vers",)),
    Call("limits", "ulimit -a", host.limits),
]
