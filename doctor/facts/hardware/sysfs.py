"""Files of /sys and /proc as ``grep -H '' FILES`` prints them (``PATH:LINE``), and ``lspci -nk`` above them.

GPUs: what the kernel sees, with or without a tool: PCI devices of the display and accelerator classes, amdgpu's
``mem_info_*`` and the topology of KFD. Sources: Documentation/gpu/amdgpu/driver-misc.rst, kfd_topology.c
(``gfx_target_version`` is major * 10000 + minor * 100 + stepping, ``location_id`` bus * 256 + device * 8 + function),
Documentation/accounting/psi.rst.
"""

from __future__ import annotations

import re
from typing import Any

from doctor.facts.hardware.reading import Notes, Reading, cpu_list, decimal, number
from doctor.vocabulary.facts import Record

kind = "sysfs"
_ADDRESS = r"(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]"
_LSPCI = re.compile(
    rf"(?P<bus>{_ADDRESS}) (?:\"?[\w .-]{{1,40}} \[)?(?P<class>03\d\d|12\d\d)\]?: "
    r"(?:(?P<words>.*) \[)?(?P<vendor>[0-9a-f]{4}):(?P<device>[0-9a-f]{4})\]?(?: .*)?"
)
_LSPCI_MORE = re.compile(r"\s+(?P<key>Subsystem|Kernel driver in use|Kernel modules|DeviceName): ?(?P<value>.*)")
_LABELLED = re.compile(rf"(?P<path>/(?:sys|proc)/(?:bus/pci/devices/{_ADDRESS}/\w+|[\w./@,+-]+)):(?P<value>.*)")
marker = re.compile(
    rf"^{_ADDRESS} (?:[\w .-]{{1,40}} \[)?(?:03|12)\d\d\]?: "
    r"|^/sys/(?:bus/pci/devices|class/kfd|class/drm|devices/system/node|devices/system/cpu|kernel/mm|module)/[^ ]*:"
    r"|^/proc/pressure/\w+:|^/proc/sys/vm/(?:swappiness|nr_hugepages):"
)
_VENDORS = {
    "10de": "nvidia",
    "1002": "amd",
    "8086": "intel",
    "19e5": "huawei",
    "1ed5": "moore threads",
    "1d94": "hygon",
}
_PCI = re.compile(rf"/sys/bus/pci/devices/(?P<bus>{_ADDRESS})/(?P<name>\w+)")
_KFD = re.compile(r"/sys/class/kfd/kfd/topology/nodes/(?P<node>\d+)/properties")
_NUMBERS = {
    "mem_info_vram_total": "total",
    "mem_info_vram_used": "used",
    "mem_info_vis_vram_total": "visible",
    "lmem_total_bytes": "total",
    "current_link_width": "link_width",
    "max_link_width": "link_width_max",
}
_GENERATIONS = {2.5: 1, 5.0: 2, 8.0: 3, 16.0: 4, 32.0: 5, 64.0: 6}  # GT/s a lane
_SPEEDS = {"current_link_speed": "link_speed", "max_link_speed": "link_speed_max"}
_FACTS = {
    "/sys/module/nvidia/version": "host.nvidia_module",
    "/sys/module/amdgpu/version": "host.amdgpu_module",
    "/sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "host.cpu_governor",
}


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """Adapters, AMD devices, distances of NUMA nodes, huge pages, pressure, versions of kernel modules."""
    notes = Notes(kind, first_line, path)
    adapters: dict[str, Record] = {}
    kfd: dict[int, dict[str, int]] = {}
    current: Record | None = None
    last = -1
    for i, line in enumerate(lines):
        if found := _LSPCI.fullmatch(line.rstrip()):
            current = _adapter(notes, adapters, found["bus"], i)
            current.fields["vendor"] = _VENDORS.get(found["vendor"], found["vendor"])
            current.fields["device_id"] = found["device"]
            if found["words"]:
                current.fields["description"] = found["words"]
        elif current is not None and (more := _LSPCI_MORE.fullmatch(line)):
            if more["key"] == "Kernel driver in use":
                current.fields["driver"] = more["value"]
        elif labelled := _LABELLED.fullmatch(line.rstrip()):
            if not _value(notes, adapters, kfd, labelled["path"], labelled["value"].strip(), i):
                break
        elif line.strip():
            break
        last = i if line.strip() else last
    if last < 0:
        return Reading()
    _join(adapters, kfd)
    _devices(notes, adapters)
    return notes.done(last)


def _adapter(notes: Notes, adapters: dict[str, Record], bus: str, i: int) -> Record:
    bus = bus if bus.count(":") == 2 else f"0000:{bus}"
    if bus not in adapters:
        adapters[bus] = notes.record("adapter", i, bus=bus)
    return adapters[bus]


def _value(
    notes: Notes, adapters: dict[str, Record], kfd: dict[int, dict[str, int]], path: str, value: str, i: int
) -> bool:
    """Reads one labelled line; False if it is of a file that belongs to another reader."""
    if pci := _PCI.fullmatch(path):
        _property(_adapter(notes, adapters, pci["bus"], i).fields, pci["name"], value)
    elif node := _KFD.fullmatch(path):
        words = value.split()
        if len(words) == 2 and (count := number(words[1])) is not None:
            kfd.setdefault(int(node["node"]), {})[words[0]] = count
    elif path in _FACTS:
        notes.fact(_FACTS[path], value or None, i)
    elif distance := re.fullmatch(r"/sys/devices/system/node/node(\d{1,4})/distance", path):
        notes.record("numa_node", i, index=int(distance[1]), distance=[number(word) for word in value.split()])
    elif path.endswith("/node/online"):
        nodes = cpu_list(value)
        notes.fact("host.numa_nodes", len(nodes) if nodes else None, i)
    elif path.endswith("/transparent_hugepage/enabled"):
        chosen = re.search(r"\[(\w+)\]", value)
        notes.fact("host.transparent_hugepages", chosen[1] if chosen else None, i)
    elif pressure := re.fullmatch(r"/proc/pressure/(cpu|io|memory)", path):
        if some := re.match(r"some .*\bavg60=(\d{1,3}\.\d+)", value):
            notes.fact(f"host.pressure_{pressure[1]}", float(some[1]), i)
    elif path == "/proc/sys/vm/swappiness":
        notes.fact("host.swappiness", number(value), i)
    elif path == "/proc/sys/vm/nr_hugepages":
        notes.fact("host.hugepages", number(value), i)
    else:
        return path.startswith(("/sys/class/", "/sys/module/", "/sys/bus/", "/sys/devices/"))
    return True


def _property(fields: dict[str, Any], name: str, value: str) -> None:
    if name in _NUMBERS:
        count = number(value)
        if count is not None:
            fields[_NUMBERS[name]] = count
    elif name in _SPEEDS:
        speed = decimal(value)
        if speed is not None:
            fields[_SPEEDS[name]] = speed
    elif name == "vendor":
        fields["vendor"] = _VENDORS.get(value.removeprefix("0x"), value.removeprefix("0x"))
    elif name == "device":
        fields["device_id"] = value.removeprefix("0x")
    elif name == "numa_node" and (node := number(value)) is not None and node >= 0:
        fields["numa_node"] = node


def _join(adapters: dict[str, Record], kfd: dict[int, dict[str, int]]) -> None:
    """The gfx target of each adapter that KFD knows."""
    for node in kfd.values():
        target, place = node.get("gfx_target_version", 0), node.get("location_id", 0)
        if not target:
            continue
        bus = f"{node.get('domain', 0):04x}:{place >> 8:02x}:{place >> 3 & 0x1F:02x}.{place & 7}"
        if bus in adapters:
            major, rest = divmod(target, 10000)
            adapters[bus].fields["capability"] = f"gfx{major}{rest // 100:x}{rest % 100:x}"


def _devices(notes: Notes, adapters: dict[str, Record]) -> None:
    """AMD's GPUs as devices: amdgpu tells their memory without any tool; ROCm counts them by bus."""
    cards = [adapters[bus] for bus in sorted(adapters) if adapters[bus].get("vendor") == "amd"]
    for index, card in enumerate(card for card in cards if card.get("total")):
        fields = {name: card.get(name) for name in ("description", "total", "used", "visible", "capability", "bus")}
        fields |= {"pcie_width": card.get("link_width"), "pcie_width_max": card.get("link_width_max")}
        fields["pcie_generation"] = _GENERATIONS.get(card.get("link_speed"))
        fields["pcie_generation_max"] = _GENERATIONS.get(card.get("link_speed_max"))
        if fields["used"] is not None:
            fields["free"] = fields["total"] - fields["used"]
        line = (card.origin.line or notes.first_line) - notes.first_line
        notes.record("device", line, index=index, backend="rocm", **fields)
