"""``uname -a`` (Linux, macOS), /etc/os-release, ``sw_vers``; /proc/driver/nvidia/version, ``nvidia-ctk --version``, and
what names a Jetson (/etc/nv_tegra_release, /proc/device-tree/model)."""

from __future__ import annotations

import re

from doctor.facts.hardware.reading import Notes, Reading

kind = "system"
marker = re.compile(
    r"^\s*+(?:Linux \S+ \d+\.\d+\S* #\S+ |Darwin \S+ \d+\.\d+\S* Darwin Kernel Version |PRETTY_NAME=\S"
    r"|ProductName:\s+mac ?OS|NVRM version: NVIDIA UNIX |NVIDIA Container Toolkit CLI version \d"
    r"|# R3\d \(release\), REVISION: |NVIDIA Jetson )"
)

_MODULE = re.compile(
    r"\s*NVRM version: NVIDIA UNIX .*Kernel Module\s+(?:for \S+\s+)?(?P<version>\d{3,4}\.\d+(?:\.\d+)?).*"
)
_TOOLKIT = re.compile(r"\s*NVIDIA Container Toolkit CLI version (?P<version>\d[\w.~+-]*)\s*")
_TEGRA = re.compile(r"\s*# (?P<release>R\d+) \(release\), REVISION: (?P<revision>[\d.]+),.*")

_UNAME = re.compile(r"\s*(?P<os>Linux|Darwin) \S+ (?P<kernel>\S+) ")
_OS_RELEASE = re.compile(r"[A-Z][A-Z0-9_]*=.*")


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """Operating system, kernel release; versions of what NVIDIA's driver and containers need."""
    notes = Notes(kind, first_line, path)
    if uname := _UNAME.match(lines[0]):
        notes.fact("host.os", uname["os"], 0)
        notes.fact("host.kernel", uname["kernel"], 0)
        return notes.done(0)
    if module := _MODULE.fullmatch(lines[0]):
        notes.fact("host.nvidia_module", module["version"], 0)
        return notes.done(1 if len(lines) > 1 and lines[1].startswith("GCC version:") else 0)
    if toolkit := _TOOLKIT.fullmatch(lines[0]):
        notes.fact("host.container_toolkit", toolkit["version"], 0)
        return notes.done(1 if len(lines) > 1 and lines[1].startswith("commit:") else 0)
    if tegra := _TEGRA.fullmatch(lines[0]):
        notes.fact("host.jetson", f"L4T {tegra['release']}.{tegra['revision']}", 0)
        return notes.done(0)
    if lines[0].lstrip().startswith("NVIDIA Jetson"):
        notes.fact("host.jetson", lines[0].strip(), 0)
        return notes.done(0)
    if lines[0].lstrip().startswith("PRETTY_NAME="):
        notes.fact("host.os", lines[0].split("=", 1)[1].strip().strip("\"'"), 0)
        last = 0
        for i, line in enumerate(lines[1:], 1):
            if not _OS_RELEASE.fullmatch(line.strip()):
                break
            last = i
        return notes.done(last)
    version = re.search(r"ProductVersion:\s+(\S+)", "\n".join(lines[1:3]))
    notes.fact("host.os", f"macOS {version[1]}" if version else "macOS", 0)
    return notes.done(min(2, len(lines) - 1) if version else 0)
