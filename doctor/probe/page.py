"""A machine on a terminal: what matters to local inference at a glance. It shows; judging is the rule book's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from doctor.probe.document import Probe, Status
from doctor.report.page import Page, Part
from doctor.units import format_size

_COLUMN = 12
_INSTRUCTIONS = {
    "x86": (
        *(("avx", "AVX"), ("avx2", "AVX2"), ("f16c", "F16C"), ("fma", "FMA"), ("avx_vnni", "AVX-VNNI")),
        *(
            ("avx512f", "AVX-512"),
            ("avx512_vnni", "AVX-512 VNNI"),
            ("avx512_bf16", "AVX-512 BF16"),
            ("amx_int8", "AMX"),
        ),
    ),
    "arm": (("asimddp", "dot product"), ("i8mm", "I8MM"), ("sve", "SVE"), ("bf16", "BF16")),
}
_STATUS_WORDS = {
    Status.NOT_PERMITTED: "not permitted",
    Status.TIMED_OUT: "timed out",
    Status.FAILED: "failed",
    Status.ABSENT: "absent",
}
_LINKS = {"NODE": "one NUMA node", "SYS": "across NUMA nodes", "PHB": "PCIe host bridge", "PXB": "PCIe bridges"}


def print_probe(probe: Probe, page: Page) -> None:
    """Everything that the probe read, most telling first; then what it could not see, and why."""
    _Machine(probe, page).write()


class _Machine:
    def __init__(self, probe: Probe, page: Page) -> None:
        self.probe, self.page = probe, page
        self.facts = probe.facts
        self.records: dict[str, list[dict[str, Any]]] = defaultdict(list, probe.records)
        self._label = ""

    def write(self) -> None:
        self.headline()
        self.gpus()
        self.memory()
        self.cpu()
        self.limits()
        self.disks()
        self.engines()
        self.servers()
        self.services()
        self.unseen()

    def row(self, label: str, *parts: Part | None, style: str = "") -> None:
        """A label where it changes, and its parts with dots between them."""
        told = [part for part in parts if part and (isinstance(part, str) or part[0])]
        spaced: list[Part] = [item for part in told for item in ((" · ", "dim"), part)][1:]
        if spaced:
            shown = "" if label == self._label else label
            self.page.labelled((shown, "bold"), *spaced, column=_COLUMN, style=style)
            self._label = label

    def headline(self) -> None:
        facts = self.facts
        where = f"in a {facts['host.container']} container" if facts.get("host.container") else None
        within = f"virtual ({facts['host.virtualization']})" if facts.get("host.virtualization") else None
        parts = [
            facts.get("host.os"),
            _named("kernel", facts.get("host.kernel")),
            where,
            within,
            facts.get("host.jetson"),
        ]
        self.page.say((self.probe.host or "this machine", "bold"), *(f" · {part}" for part in parts if part))
        self.page.gap()

    # --- GPUs -------------------------------------------------------------------------------------------------------

    def gpus(self) -> None:
        devices = [device for device in self.records["device"] if not device.get("software")]
        versions = (
            _named("driver", self.facts.get("host.gpu_driver") or self.facts.get("host.nvidia_module")),
            _named("CUDA up to", self.facts.get("host.cuda_version")),
            _named("amdgpu", self.facts.get("host.amdgpu_module")),
            _named("container toolkit", self.facts.get("host.container_toolkit")),
        )
        for device in devices:
            self.gpu(device)
        self.row("GPU", (str(self.facts.get("host.gpu_error") or ""), "yellow"))
        if not devices:
            self.adapters()
        for device in self.records["device"]:
            if device.get("software"):
                self.row("GPU", (f"{device.get('description')}: a software renderer, no GPU", "dim"))
        if any(versions):
            self.row("GPU", *versions)
        self.links()

    def gpu(self, device: dict[str, Any]) -> None:
        total, free = device.get("total"), device.get("free")
        label = f"GPU {device.get('index', '')} {device.get('backend', '')}".strip()
        shared = "shares the machine's RAM" if device.get("integrated") and not total else None
        self.row(
            label,
            (str(device.get("description") or "a GPU without a name"), "bold"),
            f"{format_size(total)}, {format_size(free)} free" if total and free is not None else _size("", total),
            shared,
            device.get("capability"),
            _figure(device.get("cores"), "GPU cores"),
            "display attached" if device.get("display") else None,
            "MIG" if device.get("mig") else None,
            _figure(device.get("utilisation"), "% busy"),
        )
        self._label = label
        self.row(label, *self.condition(device))
        holders = [p for p in self.records["process"] if p.get("device") == device.get("index") and p.get("bytes")]
        if device.get("backend") in {"cuda", "cann"} and holders:
            holders.sort(key=lambda process: -process["bytes"])
            self.row(
                label, *(f"{format_size(p['bytes'])} {_short(p.get('name'))} ({p.get('pid')})" for p in holders[:5])
            )

    def condition(self, device: dict[str, Any]) -> Iterable[Part | None]:
        """Links, power, health: what differs from what the card can do stands beside it."""
        generation, width = device.get("pcie_generation"), device.get("pcie_width")
        if width:
            lanes = _of(f"×{width}", device.get("pcie_width_max"), width, "×")
            speed = _of(str(generation), device.get("pcie_generation_max"), generation)
            told = f"PCIe {lanes}" + (f", generation {speed}" if generation else "")
            yield (told, "yellow") if device.get("pcie_lanes_missing") else told
        draw, limit, default = (device.get(name) for name in ("power_draw", "power_limit", "power_limit_default"))
        if limit:
            lowered = f" (default {default:.0f})" if default and default != limit else ""
            yield f"{draw:.0f} of {limit:.0f} W{lowered}" if draw is not None else f"{limit:.0f} W{lowered}"
        yield _figure(device.get("temperature"), "°C")
        if device.get("throttle"):
            yield (f"clocks held down: {', '.join(device['throttle'])}", "yellow")
        if device.get("ecc") is not None:
            yield "ECC on" if device["ecc"] else "ECC off"
        if device.get("ecc_uncorrected"):
            yield (f"{device['ecc_uncorrected']} uncorrectable memory errors", "red")
        yield ("memory rows could not be replaced", "red") if device.get("remap_failed") else None
        yield ("needs a reset", "red") if device.get("reset_required") else None
        yield f"health {device['health']}" if device.get("health") not in {None, "OK"} else None
        yield "persistence off" if device.get("persistence") is False else None
        mode = device.get("compute_mode")
        yield f"compute mode {mode}" if mode not in {None, "Default"} else None
        yield device.get("driver_model")

    def adapters(self) -> None:
        """What the kernel sees where no tool told of a device."""
        for adapter in self.records["adapter"]:
            driver = adapter.get("driver")
            self.row(
                "GPU",
                (f"{adapter.get('vendor', '?')} {adapter.get('device_id', '')}".strip(), "bold"),
                adapter.get("description"),
                f"at {adapter.get('bus')}",
                f"kernel driver {driver}" if driver else ("no kernel driver", "yellow"),
                "no tool tells more of it",
            )
        if not self.records["adapter"] and not self.facts.get("host.gpu_error"):
            self.row("GPU", "none: no tool and no bus shows one")

    def links(self) -> None:
        by_kind: dict[str, list[str]] = defaultdict(list)
        for link in self.records["gpu_link"]:
            words = str(link.get("link", ""))
            kind = f"{_LINKS.get(words, words)}{'' if link.get('peer') in {None, 'OK'} else ', no peer access'}"
            by_kind[kind].append(f"{link.get('one')}-{link.get('other')}")
        self.row(
            "GPU links",
            *(f"{kind}: {', '.join(pairs[:8])}{' …' if len(pairs) > 8 else ''}" for kind, pairs in by_kind.items()),
        )

    # --- the host -----------------------------------------------------------------------------------------------------

    def memory(self) -> None:
        facts = self.facts
        swap = facts.get("host.swap_total")
        self.row(
            "Memory",
            (format_size(facts["host.ram_total"]), "bold") if facts.get("host.ram_total") else None,
            _size("available", facts.get("host.ram_available")),
            "no swap" if swap == 0 else f"swap {format_size(swap)}" if swap else None,
            self.pressure("memory"),
        )
        limit = facts.get("host.cgroup_limit", "")
        if limit:
            kills = facts.get("host.cgroup_oom_kills")
            used = f", {format_size(facts['host.cgroup_usage'])} used" if facts.get("host.cgroup_usage") else ""
            killed = (f"{kills} processes killed for it", "yellow") if kills else None
            self.row("Memory", (f"limited to {format_size(limit)} by its cgroup{used}", "bold"), killed)
        elif limit is None:
            self.row("Memory", "no cgroup limit")
        nodes = [node for node in self.records["numa_node"] if node.get("size") is not None]
        if len(self.records["numa_node"]) > 1:
            shown = (
                f"node {node['index']}: {format_size(node['size'])}, {format_size(node.get('free', 0))} free"
                for node in nodes[:8]
            )
            far = max(
                (max(node["distance"]) for node in self.records["numa_node"] if node.get("distance")), default=None
            )
            balancing = {True: "balancing on", False: "balancing off"}.get(facts.get("host.numa_balancing"))  # type: ignore[arg-type]
            self.row(
                "NUMA",
                *shown,
                f"… {len(nodes)} nodes" if len(nodes) > 8 else None,
                _named("distance up to", far),
                balancing,
            )
        overcommit = {1: "overcommit always", 2: "overcommit never"}.get(facts.get("host.overcommit_memory", 0))
        pages = facts.get("host.hugepages")
        self.row(
            "Memory",
            overcommit,
            f"{pages} huge pages set aside" if pages else None,
            _named("transparent huge pages:", facts.get("host.transparent_hugepages")),
        )

    def cpu(self) -> None:
        facts = self.facts
        cores, threads = facts.get("host.cpu_cores"), facts.get("host.cpu_threads")
        counted = f"{cores} cores, {threads} threads" if cores and threads else _figure(threads or cores, "CPUs")
        sockets = facts.get("host.cpu_sockets") or 1
        allowed, time = facts.get("host.cpus_allowed"), facts.get("host.cgroup_cpus")
        governor = facts.get("host.cpu_governor")
        self.row(
            "CPU",
            (str(facts.get("host.cpu_model") or ""), "bold"),
            counted,
            f"{sockets} sockets" if sockets > 1 else None,
            f"allowed on {allowed}" if allowed and allowed != threads else None,
            f"CPU time of {time:g} by its cgroup" if time else None,
            f"governor {governor}" if governor and governor != "performance" else None,
            self.pressure("cpu"),
        )
        flags = set(facts.get("host.cpu_flags") or ())
        table = _INSTRUCTIONS["arm" if "asimd" in flags else "x86"]
        if flags:
            have = [name for flag, name in table if flag in flags]
            lack = [name for flag, name in table if flag not in flags]
            self.row("CPU", ", ".join(have) or None, f"without {', '.join(lack)}" if lack else None)

    def pressure(self, what: str) -> str | None:
        """The share of the last minute in which something waited, where it is worth a word."""
        share = self.facts.get(f"host.pressure_{what}")
        return f"pressure {share:.0f} %" if share is not None and share >= 1 else None

    def limits(self) -> None:
        facts = self.facts
        shm = facts.get("host.shm_size")
        self.row(
            "Limits",
            _limit("locked memory", facts.get("host.memlock_limit")),
            _limit("address space", facts.get("host.address_space_limit")),
            _figure(facts.get("host.open_files_limit"), "open files"),
            f"/dev/shm {format_size(shm)}" if shm else None,  # noqa: S108 - named, not used
        )
        refused = [file["path"] for file in self.records["device_file"] if file.get("usable") is False]
        user, groups = facts.get("host.user"), facts.get("host.groups")
        if refused:
            self.row(
                "Limits",
                (f"{user} may not open {', '.join(refused[:6])}", "yellow"),
                _named("groups:", ", ".join(groups or [])),
            )

    def disks(self) -> None:
        for system in self.records["filesystem"]:
            if system.get("mount") == "/dev/shm":  # noqa: S108 - named, not used
                continue
            disk = _disk_of(system, self.records["disk"])
            medium = disk.get("medium") if disk else None
            self.row(
                "Disk",
                (str(system.get("mount")), "bold"),
                f"{format_size(system.get('free') or 0)} free of {format_size(system.get('size') or 0)}",
                system.get("device"),
                medium,
            )
        self.row("Disk", self.pressure("io"))

    # --- software -----------------------------------------------------------------------------------------------------

    def engines(self) -> None:
        for program in self.records["program"]:
            backends = program.get("backends")
            self.row(
                "Engines",
                (str(program.get("name")), "bold" if program.get("first") else "dim"),
                program.get("version"),
                program.get("path"),
                f"back ends: {', '.join(backends)}" if backends else None,
                None if program.get("first") else ("shadowed by the one above", "dim"),
            )
        for task in self.records["task"]:
            if self.is_engine(task):
                self.row(
                    "Running",
                    f"{task['program']} ({task['pid']})",
                    _size("", task.get("resident")),
                    _cut(str(task["command"]), 200),
                )
        for model in self.records["loaded_model"]:
            share = model.get("gpu_share")
            context = model.get("context")
            placed = f"{share} % on GPU" if share is not None else None
            self.row(
                "Loaded",
                (str(model.get("name")), "bold"),
                _size("", model.get("size")),
                placed,
                _figure(context, "tokens of context"),
            )
        by_place: dict[str, list[str]] = defaultdict(list)
        for package in self.records["package"]:
            by_place[str(package.get("place") or "")].append(f"{package['name']} {package['version']}")
        for place, packages in by_place.items():
            self.row("Python", (place, "bold") if place else None, ", ".join(sorted(packages, key=_importance)[:12]))

    def is_engine(self, task: dict[str, Any]) -> bool:
        from doctor.probe.engines import is_engine

        return is_engine(str(task.get("command", "")).split() or [""])

    def servers(self) -> None:
        for endpoint in self.records["endpoint"]:
            models = endpoint.get("models")
            state = endpoint.get("error") or endpoint.get("health")
            self.row(
                "Servers",
                (str(endpoint.get("address")), "bold"),
                endpoint.get("server"),
                _named("RPC protocol", endpoint.get("protocol")),
                (str(state), "" if state == "ok" else "yellow") if state else None,
                f"models: {', '.join(models[:4])}" if models else None,
            )

    def services(self) -> None:
        for service in self.records["service"]:
            result = service.get("result")
            limit = service.get("memory_limit")
            self.row(
                "Services",
                (str(service.get("name")), "bold"),
                service.get("state"),
                f"ended: {result}" if result not in {None, "success"} else None,
                _figure(service.get("restarts") or None, "restarts"),
                f"memory limit {format_size(limit)}" if limit and limit > 0 else None,
                " ".join(f"{name}={value}" for name, value in sorted((service.get("environment") or {}).items())[:8])
                or None,
            )
        for container in self.records["container"]:
            self.row(
                "Containers",
                (str(container.get("name")), "bold"),
                container.get("image"),
                "running" if container.get("running") else f"ended with {container.get('exit_status')}",
                "killed for memory" if container.get("oom_killed") else None,
                _size("limit", container.get("limit")),
                f"GPUs: {container['gpus']}" if container.get("gpus") else None,
            )

    def unseen(self) -> None:
        """What gave no answer, by why: only *absent* says that something is not there."""
        groups: dict[Status, list[str]] = defaultdict(list)
        for answer in self.probe.answers:
            if answer.status is not Status.OK:
                groups[answer.status].append(answer.name)
        if not groups:
            return
        self.page.gap()
        for status, words in _STATUS_WORDS.items():
            names = groups.get(status)
            if not names:
                continue
            if status is Status.ABSENT:
                self.page.labelled((words.capitalize(), "dim"), (", ".join(names), "dim"), column=_COLUMN + 2)
                continue
            for name in names:
                told = self.probe.answer(name)
                reason = told.reason if told else ""
                self.page.labelled(
                    (words.capitalize(), "yellow"), name, (f": {_cut(reason, 160)}", "dim"), column=_COLUMN + 2
                )


def _importance(package: str) -> tuple[bool, str]:
    name = package.split(maxsplit=1)[0]
    return name not in {"torch", "vllm", "sglang", "transformers", "flash-attn", "triton", "llama-cpp-python"}, package


def _disk_of(system: dict[str, Any], disks: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    device = str(system.get("device", "")).removeprefix("/dev/")
    named = [disk for disk in disks if disk.get("name") and device.startswith(str(disk["name"]))]
    mounted = [disk for disk in disks if system.get("mount") in (disk.get("mounts") or ())]
    return next(iter([*mounted, *named]), None)


def _of(now: str, most: Any, value: Any, sign: str = "") -> str:
    """``×4 of ×16``; only the one where they are the same."""
    return now if most in {None, value} else f"{now} of {sign}{most}"


def _named(name: str, value: Any) -> str | None:
    return f"{name} {value}" if value not in {None, ""} else None


def _figure(value: Any, unit: str) -> str | None:
    return None if value is None else f"{value:g} {unit}" if isinstance(value, (int, float)) else f"{value} {unit}"


def _size(name: str, value: Any) -> str | None:
    return f"{format_size(value)} {name}".strip() if isinstance(value, (int, float)) and value else None


def _limit(name: str, value: Any) -> str | None:
    if value is None:
        return None
    return f"{name} unlimited" if value < 0 or value > 2**60 else f"{name} {format_size(value)}"


def _short(name: Any) -> str:
    return str(name or "?").split()[0].rsplit("/", 1)[-1]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 2]} …"
