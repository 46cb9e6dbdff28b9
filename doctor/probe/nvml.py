"""NVIDIA's management library, through nvidia-ml-py, in the words of ``nvidia-smi -q -x``: one reader, the same facts.

A process of its own asks, by the path of this file and with nothing of llmdoctor imported: a driver that hangs can be
left behind, and no GPU context is made (NVML needs none).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any
from xml.sax.saxutils import escape, quoteattr

ASKED = "nvidia-ml-py"
# Bits of nvmlDeviceGetCurrentClocksEventReasons -> elements of nvidia-smi's XML (NVIDIA's NVML API reference)
_REASONS = {
    0x01: "gpu_idle",
    0x02: "applications_clocks_setting",
    0x04: "sw_power_cap",
    0x08: "hw_slowdown",
    0x20: "sw_thermal_slowdown",
    0x40: "hw_thermal_slowdown",
    0x80: "hw_power_brake_slowdown",
}
_COMPUTE_MODES = ("Default", "Exclusive_Thread", "Prohibited", "Exclusive_Process")
_DRIVER_MODELS = ("WDDM", "TCC", "MCDM")
_ADDRESSING = {1: "HMM", 2: "ATS"}
_MIB = 1024 * 1024


def question(seconds: float) -> str:
    """The XML. It takes a process, and at most so many seconds.

    Raises:
        FileNotFoundError: there is no such package, or no driver.
        TimeoutError: the driver did not answer.
        OSError: it said something else.
    """
    from importlib.util import find_spec

    from doctor.probe.ask import run

    if find_spec("pynvml") is None:
        raise FileNotFoundError(2, "the package nvidia-ml-py is not installed")
    ran = run([sys.executable, "-I", __file__], seconds)
    if ran.exit is None:
        raise TimeoutError(f"stopped after {ran.seconds:.1f} s")
    if ran.exit != 0:
        words = ran.errors.strip().splitlines()
        raise OSError(5, words[-1][:300] if words else f"exit status {ran.exit}")
    return ran.output


def describe(nvml: Any) -> Iterator[str]:
    """Lines of XML about every card, from the module ``pynvml``. What a card does not tell is left out."""

    def ask(function: str, *words: Any) -> Any:
        """None where this card, driver or release of the package has no answer."""
        try:
            return getattr(nvml, function)(*words)
        except (nvml.NVMLError, AttributeError, TypeError):  # an old release may take fewer words
            return None

    yield "<nvidia_smi_log>"
    yield from _element("driver_version", ask("nvmlSystemGetDriverVersion"))
    cuda = ask("nvmlSystemGetCudaDriverVersion_v2")
    yield from _element("cuda_version", f"{cuda // 1000}.{cuda % 1000 // 10}" if cuda else None)
    count = nvml.nvmlDeviceGetCount()
    yield from _element("attached_gpus", count)
    for index in range(count):
        try:
            card = nvml.nvmlDeviceGetHandleByIndex(index)
        except nvml.NVMLError as error:  # lost, or not for this user: the others go on
            yield f"<!-- GPU {index}: {escape(str(error)).replace('--', '- -')} -->"
            continue
        bus = getattr(ask("nvmlDeviceGetPciInfo", card), "busId", "")
        yield f"<gpu id={quoteattr(_text(bus))}>"
        yield from _card(nvml, card, ask)
        yield "</gpu>"
    yield "</nvidia_smi_log>"


def _card(nvml: Any, card: Any, ask: Callable[..., Any]) -> Iterator[str]:
    yield from _element("product_name", ask("nvmlDeviceGetName", card))
    yield from _element("uuid", ask("nvmlDeviceGetUUID", card))
    capability = ask("nvmlDeviceGetCudaComputeCapability", card)
    yield from _element("cuda_compute_capability", ".".join(map(str, capability)) if capability else None)
    yield from _element("display_active", _switch(ask("nvmlDeviceGetDisplayActive", card)))
    yield from _element("persistence_mode", _switch(ask("nvmlDeviceGetPersistenceMode", card)))
    yield from _element("compute_mode", _named(ask("nvmlDeviceGetComputeMode", card), _COMPUTE_MODES))
    state = ask("nvmlDeviceGetPerformanceState", card)
    yield from _element("performance_state", f"P{state}" if state is not None and state < 32 else None)
    yield from _element("addressing_mode", _addressing(nvml, card, ask))
    model = ask("nvmlDeviceGetCurrentDriverModel", card)
    yield from _group("driver_model", current_dm=_named(model, _DRIVER_MODELS))
    yield from _group("mig_mode", current_mig=_switch(_first(ask("nvmlDeviceGetMigMode", card))))
    yield from _group("ecc_mode", current_ecc=_switch(_first(ask("nvmlDeviceGetEccMode", card))))
    errors = ask("nvmlDeviceGetTotalEccErrors", card, 1, 0)  # uncorrected, since the driver was loaded
    yield from _group("volatile", dram_uncorrectable=errors)
    rows = ask("nvmlDeviceGetRemappedRows", card)
    yield from _group("remapped_rows", remapped_row_failure={0: "No", 1: "Yes"}.get(rows[3]) if rows else None)
    memory = ask("nvmlDeviceGetMemoryInfo", card, getattr(nvml, "nvmlMemory_v2", None)) or ask(
        "nvmlDeviceGetMemoryInfo", card
    )
    sizes = {name: getattr(memory, name, None) for name in ("total", "reserved", "used", "free")}
    yield from _group("fb_memory_usage", **{name: _mib(size) for name, size in sizes.items()})
    visible = getattr(ask("nvmlDeviceGetBAR1MemoryInfo", card), "bar1Total", None)
    yield from _group("bar1_memory_usage", total=_mib(visible))
    yield from _links(card, ask)
    yield from _power(card, ask)
    rates = ask("nvmlDeviceGetUtilizationRates", card)
    yield from _group("utilization", gpu_util=f"{rates.gpu} %" if rates is not None else None)
    heat = ask("nvmlDeviceGetTemperature", card, 0)
    yield from _group("temperature", gpu_temp=f"{heat} C" if heat is not None else None)
    yield from _reasons(card, ask)
    yield "<processes>"
    running = [*(ask("nvmlDeviceGetComputeRunningProcesses", card) or [])]
    running += ask("nvmlDeviceGetGraphicsRunningProcesses", card) or []
    for process in {each.pid: each for each in reversed(running)}.values():
        name = ask("nvmlSystemGetProcessName", process.pid)
        yield from _group("process_info", pid=process.pid, process_name=name, used_memory=_mib(process.usedGpuMemory))
    yield "</processes>"


def _links(card: Any, ask: Callable[..., Any]) -> Iterator[str]:
    now, most = ask("nvmlDeviceGetCurrPcieLinkGeneration", card), ask("nvmlDeviceGetMaxPcieLinkGeneration", card)
    yield "<pci><pci_gpu_link_info>"
    yield from _group("pcie_gen", max_link_gen=most, current_link_gen=now)
    now, most = ask("nvmlDeviceGetCurrPcieLinkWidth", card), ask("nvmlDeviceGetMaxPcieLinkWidth", card)
    widths = {"max_link_width": most, "current_link_width": now}
    yield from _group("link_widths", **{name: f"{width}x" if width else None for name, width in widths.items()})
    yield "</pci_gpu_link_info></pci>"


def _power(card: Any, ask: Callable[..., Any]) -> Iterator[str]:
    draw, limit, usual = (
        ask(f"nvmlDeviceGet{name}", card)
        for name in ("PowerUsage", "EnforcedPowerLimit", "PowerManagementDefaultLimit")
    )
    watts = {"power_draw": draw, "current_power_limit": limit, "default_power_limit": usual}
    given = {name: f"{value / 1000:.2f} W" if value is not None else None for name, value in watts.items()}
    yield from _group("gpu_power_readings", **given)


def _reasons(card: Any, ask: Callable[..., Any]) -> Iterator[str]:
    bits = ask("nvmlDeviceGetCurrentClocksEventReasons", card)
    if bits is None:
        bits = ask("nvmlDeviceGetCurrentClocksThrottleReasons", card)
    if bits is not None:
        active = {True: "Active", False: "Not Active"}
        seen = {f"clocks_event_reason_{name}": active[bool(bits & bit)] for bit, name in _REASONS.items()}
        yield from _group("clocks_event_reasons", **seen)


def _addressing(nvml: Any, card: Any, ask: Callable[..., Any]) -> str | None:
    """From driver 560 on."""
    told = ask("nvmlDeviceGetAddressingMode", card)
    return _ADDRESSING.get(getattr(told, "value", told), "None") if told is not None else None


def _element(name: str, value: Any) -> Iterator[str]:
    if value is not None:
        yield f"<{name}>{escape(_text(value))}</{name}>"


def _group(name: str, **parts: Any) -> Iterator[str]:
    inside = "".join(line for part, value in parts.items() for line in _element(part, value))
    if inside:
        yield f"<{name}>{inside}</{name}>"


def _text(value: Any) -> str:
    """Old releases of the package give bytes. Control characters are not for XML."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return "".join(char for char in text if char.isprintable())


def _first(pair: Any) -> Any:
    """The current one of (current, pending)."""
    return pair[0] if pair is not None else None


def _switch(value: Any) -> str | None:
    return {0: "Disabled", 1: "Enabled"}.get(value)


def _named(value: Any, names: tuple[str, ...]) -> str | None:
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else None


def _mib(size: Any) -> str | None:
    """None too for "not available", which is the largest number there is."""
    return f"{size // _MIB} MiB" if isinstance(size, int) and size < 1 << 60 else None


def main() -> int:
    """Prints the XML; what the driver says instead goes to standard error."""
    import pynvml  # type: ignore[import-not-found, import-untyped, unused-ignore]

    try:
        pynvml.nvmlInit()
        sys.stdout.write("".join(f"{line}\n" for line in describe(pynvml)))
    except pynvml.NVMLError as error:
        sys.stderr.write(f"NVML: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
