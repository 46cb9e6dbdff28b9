"""What the machine says of itself without a tool: files put together so that the readers know them."""

from __future__ import annotations

import os
import platform
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from doctor.probe.ask import find_tool, is_there, read_file, run

# The inference world's variables; all others are nobody's business.
ENVIRONMENT = re.compile(
    r"(?:CUDA|NVIDIA|HIP|ROCR|ROCM|HSA|AMD|GGML|LLAMA|LLAMACPP|OLLAMA|VLLM|SGLANG|SGL|NCCL|RCCL|HF|HUGGINGFACE|TRANSFORMERS|OMP|MKL|KMP|OPENBLAS"
    r"|PYTORCH|TORCH|TORCHINDUCTOR|TRITON|ONEAPI|SYCL|UR|ZES?|ASCEND|VK|GPUSTACK|GLOO|RAY|MALLOC|LMDEPLOY|KTRANSFORMERS"
    r")_\w+|LD_LIBRARY_PATH|LD_PRELOAD|CUDA_HOME|(?:HTTPS?|NO|ALL)_PROXY|GOMP_CPU_AFFINITY|USE_NUMA|VIRTUAL_ENV|CONDA_PREFIX",
    re.IGNORECASE,
)
_CPU_PLACE = re.compile(r"(?:processor|physical id|core id)\s*:")
_CGROUP_FILES = (
    *("memory.max", "memory.high", "memory.swap.max", "memory.current", "memory.peak", "memory.events", "cpu.max"),
    *("cpuset.cpus.effective", "cpuset.mems.effective", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    *("memory.max_usage_in_bytes", "memory.memsw.limit_in_bytes", "memory.oom_control"),
    *("cpu.cfs_quota_us", "cpu.cfs_period_us"),
)
_CONTROLLERS = {"memory", "cpu", "cpuset", ""}
_MODEL_FOLDERS = (
    *("OLLAMA_MODELS", "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "LLAMA_CACHE", "GPUSTACK_DATA_DIR"),
    *("TRANSFORMERS_CACHE", "VLLM_CACHE_ROOT"),
)
_USUAL_FOLDERS = (
    *("~/.ollama/models", "/usr/share/ollama/.ollama/models", "~/.cache/huggingface", "~/.cache/llama.cpp"),
    *("~/.cache/lm-studio", "~/.lmstudio", "/var/lib/gpustack", "/models"),
)
_PCI_FILES = (
    *("mem_info_vram_total", "mem_info_vram_used", "mem_info_vis_vram_total", "current_link_speed", "max_link_speed"),
    *("current_link_width", "max_link_width", "numa_node"),
)
_GPU_DEVICES = (
    "nvidia*",
    "kfd",
    "dri/*",
    "davinci*",
    "accel/*",
    "dxg",
    "nvhost-gpu",
    "nvmap",
    "apex_*",
    "infiniband/*",
)


def uname(_seconds: float = 0) -> str:
    """As ``uname -a`` prints it, without the host's name."""
    words = platform.uname()
    return f"{words.system} {words.node or 'localhost'} {words.release} {words.version} {words.machine}\n"


def environment(_seconds: float = 0) -> str:
    """The variables of the inference world, as ``env`` prints them."""
    chosen = sorted((name, value) for name, value in os.environ.items() if ENVIRONMENT.fullmatch(name))
    return "".join(f"{name}={value}\n" for name, value in chosen if "\n" not in value)


def folders(named: Sequence[str] = ()) -> list[str]:
    """Whose file systems matter: the root, shared memory, temporary files, and where models lie."""
    wanted = ["/", "/dev/shm", os.environ.get("TMPDIR", "/tmp"), *named]  # noqa: S108 - asked about, not written
    wanted += [os.environ[name] for name in _MODEL_FOLDERS if os.environ.get(name)]
    wanted += [str(Path(folder).expanduser()) for folder in _USUAL_FOLDERS]
    return [folder for folder in dict.fromkeys(wanted) if folder.startswith("/") and is_there(folder)]


def numa_meminfo(_seconds: float = 0) -> str:
    """The memory and the CPUs of each NUMA node."""
    nodes = sorted(Path("/sys/devices/system/node").glob("node[0-9]*"), key=lambda path: int(path.name[4:]))
    if not nodes:
        raise FileNotFoundError(2, "no such folder", "/sys/devices/system/node")
    return "".join(f"{read_file(node / 'meminfo')}\n\n" for node in nodes)


def cgroup(_seconds: float = 0) -> str:
    """Where this process stands among the cgroups, and the limits there and above, outermost first."""
    membership = read_file("/proc/self/cgroup")
    lines = membership.splitlines()
    for line in membership.splitlines():
        _number, controllers, path = line.split(":", 2)
        if not _CONTROLLERS.isdisjoint(controllers.split(",")):
            for folder in _cgroup_folders(controllers, path):
                lines += _labelled(folder, _CGROUP_FILES)
    return "\n".join(lines) + "\n"


def _cgroup_folders(controllers: str, path: str) -> Iterator[Path]:
    """Its folder and those above it, outermost first; in a namespace of its own the root is all there is."""
    roots = [Path("/sys/fs/cgroup") / controllers, *(Path("/sys/fs/cgroup") / name for name in controllers.split(","))]
    if not controllers:
        roots = [Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")]
        roots = [root for root in roots if (root / "cgroup.controllers").exists()]
    root = next((root for root in roots if root.is_dir()), None)
    if root is None:
        return
    yield root
    parts = [part for part in PurePosixPath(path).parts if part not in {"/", ".."}]
    for count in range(1, len(parts) + 1):
        folder = root.joinpath(*parts[:count])
        if folder.is_dir():
            yield folder


def _labelled(folder: Path, names: Sequence[str]) -> list[str]:
    lines = []
    for name in names:
        with suppress(OSError):
            lines += [f"{folder / name}:{line}" for line in read_file(folder / name).splitlines()]
    return lines


def surroundings(_seconds: float = 0) -> str:
    """Whether this is a container, and who asks: as ``id`` prints it."""
    lines = [path for path in ("/.dockerenv", "/run/.containerenv") if Path(path).exists()]
    with suppress(OSError):
        lines += [f"container={value}" for value in re.findall(r"container=(\S+)", read_file("/proc/1/environ"))]
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        lines.append("container=kubernetes")
    lines.append(identity())
    return "\n".join(lines) + "\n"


def identity() -> str:
    """``uid=1000(me) gid=1000(me) groups=1000(me),44(video)``"""
    import grp
    import pwd

    def user(number: int) -> str:
        with suppress(KeyError):
            return f"{number}({pwd.getpwuid(number).pw_name})"
        return str(number)

    def group(number: int) -> str:
        with suppress(KeyError):
            return f"{number}({grp.getgrgid(number).gr_name})"
        return str(number)

    groups = ",".join(group(number) for number in dict.fromkeys([os.getegid(), *os.getgroups()]))
    return f"uid={user(os.geteuid())} gid={group(os.getegid())} groups={groups}"


def cpuinfo(_seconds: float = 0) -> str:
    """/proc/cpuinfo: the first CPU whole, of the others only what tells cores from threads."""
    lines: list[str] = []
    for number, block in enumerate(read_file("/proc/cpuinfo", 16 * 1024 * 1024).split("\n\n")):
        kept = [line for line in block.splitlines() if number == 0 or _CPU_PLACE.match(line)]
        lines += [*kept, ""]
    return "\n".join(lines) + "\n"


def disk_space(seconds: float, named: Sequence[str] = ()) -> str:
    """``df -kTP`` of the folders that matter; without that tool the same table from statvfs."""
    tool = find_tool("df")
    if tool:
        option = "-kP" if sys.platform == "darwin" else "-kTP"
        ran = run([tool, option, *folders(named)], seconds)
        if ran.exit is None:
            raise TimeoutError(f"df was stopped after {ran.seconds:.1f} s: does a network file system hang?")
        return ran.output
    mounts = [line.split()[:3] for line in read_file("/proc/mounts").splitlines()]
    lines = ["Filesystem     Type     1024-blocks      Used Available Capacity Mounted on"]
    for folder in folders(named):
        space = os.statvfs(folder)
        near = [mount for mount in mounts if Path(folder).is_relative_to(mount[1])]
        device, place, kind = max(near, key=lambda mount: len(mount[1]), default=["-", folder, "-"])
        total, free, left = (
            count * space.f_frsize // 1024 for count in (space.f_blocks, space.f_bfree, space.f_bavail)
        )
        share = 100 * (total - free) // max(1, total - free + left)
        lines.append(f"{device} {kind} {total} {total - free} {left} {share}% {place}")
    return "\n".join(dict.fromkeys(lines)) + "\n"


def pci_gpus(_seconds: float = 0) -> str:
    """GPUs and accelerators on the PCI bus as ``lspci -nk`` prints them, with what their drivers tell in files.

    Raises:
        FileNotFoundError: there is none, or no such bus.
    """
    lines: list[str] = []
    for folder in sorted(Path("/sys/bus/pci/devices").glob("*")):
        with suppress(OSError):
            class_code = read_file(folder / "class").removeprefix("0x")
            if class_code[:2] not in {"03", "12"}:
                continue
            vendor, device = (read_file(folder / name).removeprefix("0x") for name in ("vendor", "device"))
            lines.append(f"{folder.name} {class_code[:4]}: {vendor}:{device}")
            if (folder / "driver").exists():
                lines.append(f"\tKernel driver in use: {(folder / 'driver').resolve().name}")
            lines += _labelled(folder, _PCI_FILES)
    if not lines:
        raise FileNotFoundError(2, "no GPU or accelerator on the PCI bus")
    return "\n".join(lines) + "\n"


def device_files(_seconds: float = 0) -> str:
    """GPU device files as ``ls -l`` prints them, and whether they can be opened: by the mode, without opening."""
    import grp
    import pwd

    lines = []
    for pattern in _GPU_DEVICES:
        for path in sorted(Path("/dev").glob(pattern)):
            with suppress(OSError):
                seen = path.stat()
                if not stat.S_ISCHR(seen.st_mode):
                    continue
                owner, group = str(seen.st_uid), str(seen.st_gid)
                with suppress(KeyError):
                    owner = pwd.getpwuid(seen.st_uid).pw_name
                with suppress(KeyError):
                    group = grp.getgrgid(seen.st_gid).gr_name
                when = datetime.fromtimestamp(seen.st_mtime, UTC)
                numbers = f"{os.major(seen.st_rdev)}, {os.minor(seen.st_rdev)}"
                lines.append(f"{stat.filemode(seen.st_mode)} 1 {owner} {group} {numbers} {when:%b %d %H:%M} {path}")
    if not lines:
        raise FileNotFoundError(2, "no device file of a GPU in /dev")
    return "\n".join([*lines, identity()]) + "\n"


def limits(_seconds: float = 0) -> str:
    """As ``ulimit -a`` prints those that matter, where there is no /proc."""
    import resource

    def value(number: int, unit: int) -> str:
        soft = resource.getrlimit(number)[0]
        return "unlimited" if soft == resource.RLIM_INFINITY else str(soft // unit)

    return (
        f"max locked memory           (kbytes, -l) {value(resource.RLIMIT_MEMLOCK, 1024)}\n"
        f"open files                          (-n) {value(resource.RLIMIT_NOFILE, 1)}\n"
        f"virtual memory              (kbytes, -v) {value(resource.RLIMIT_AS, 1024)}\n"
    )
