"""``lscpu``, in English, German, French, Spanish and Chinese (keys seen in real outputs of util-linux 2.23 to 2.38)."""

from __future__ import annotations

import re
from unicodedata import east_asian_width

from doctor.facts.hardware.reading import Notes, Reading, cpu_list, number

kind = "lscpu"
marker = re.compile(
    r"^\s*+(?:Architecture|Architektur|Arquitectura|Arquitetura|Architettura|Architectuur|Архитектура|架构|架構"
    r"|アーキテクチャ)\s*[:：]\s*\w+\s*$"
)

_LINE = re.compile(r"(?P<key>\s*[^:：\s][^:：]{0,60}?)\s*[:：](?P<value>.*)")
_KEYS = {
    "threads": {"CPU(s)", "CPU", "Processeur(s)", "CPU(en)"},
    "online": {"On-line CPU(s) list", "Liste der Online-CPU(s)", "Liste de processeur(s) en ligne", "在线 CPU 列表"},
    "per_core": {
        "Thread(s) per core",
        "Thread(s) pro Kern",
        "Thread(s) par cœur",
        "Hilo(s) de procesamiento por núcleo",
        "每个核的线程数",
    },
    "per_socket": {
        "Core(s) per socket",
        "Core(s) per cluster",
        "Kern(e) pro Socket",
        "Kern(e) pro Sockel",
        "Cœur(s) par socket",
        "Núcleo(s) por «socket»",
        "每个座的核数",
    },
    "sockets": {"Socket(s)", "Cluster(s)", "Sockel", "«Socket(s)»", "座"},
    "nodes": {"NUMA node(s)", "NUMA-Knoten", "Nœud(s) NUMA", "Modo(s) NUMA", "NUMA 节点"},
    "model": {"Model name", "Modellname", "Nom de modèle", "Nombre del modelo", "型号名称"},
    "flags": {"Flags", "Markierungen", "Drapeaux", "Drapaux", "Indicadores", "标记"},
}
_MEANING = {key: meaning for meaning, keys in _KEYS.items() for key in keys}
_NODE = re.compile(r"(?:NUMA|Nœud|Nodo).{0,12}?(?P<node>\d{1,4})\b.*")


def read(lines: list[str], first_line: int, path: str) -> Reading:
    """Model, sockets, cores, hardware threads, flags and the CPUs of each NUMA node."""
    notes = Notes(kind, first_line, path)
    numbers: dict[str, tuple[int, int]] = {}
    online: tuple[int, int] | None = None
    nodes, last = 0, 0
    for i, line in enumerate(lines):
        if not line.strip():
            break
        found = _LINE.fullmatch(line)
        if not found:
            if last and line[0].isspace():
                last = i  # the rest of a wrapped value
                continue
            break
        last = i
        key, value = " ".join(found["key"].split()), found["value"].strip()
        meaning = _MEANING.get(key)
        if meaning == "model":
            notes.fact("host.cpu_model", value or None, i)
        elif key == "Hypervisor vendor":
            notes.fact("host.virtualization", value or None, i)
        elif meaning == "flags":
            flags = _wrapped(lines, i, found.start("value"))
            notes.fact("host.cpu_flags", flags or None, i)
        elif meaning == "online":
            cpus = cpu_list(value)
            online = (len(cpus), i) if cpus else None
        elif meaning and (count := number(value)) is not None:
            numbers.setdefault(meaning, (count, i))
        elif (node := _NODE.fullmatch(key)) and (cpus := cpu_list(value)) is not None:
            notes.record("numa_node", i, index=int(node["node"]), cpus=cpus)
            nodes += 1
    if "threads" not in numbers and online:
        numbers["threads"] = online
    if "nodes" not in numbers and nodes:
        numbers["nodes"] = (nodes, last)
    if "per_socket" in numbers and "sockets" in numbers:
        numbers["cores"] = (numbers["per_socket"][0] * numbers["sockets"][0], numbers["per_socket"][1])
    elif "threads" in numbers and numbers.get("per_core", (0, 0))[0] > 0:
        numbers["cores"] = (numbers["threads"][0] // numbers["per_core"][0], numbers["threads"][1])
    names = {"threads": "cpu_threads", "cores": "cpu_cores", "sockets": "cpu_sockets", "nodes": "numa_nodes"}
    for meaning, name in names.items():
        if meaning in numbers:
            notes.fact(f"host.{name}", *numbers[meaning])
    if not numbers:
        notes.problem(0, "no number of CPUs could be read")
    return notes.done(last)


def _wrapped(lines: list[str], i: int, start: int) -> list[str]:
    """The words of a value that lscpu wrapped at the terminal's width, in the middle of words, under its own column.

    A piece shorter than the column lost the blank at its end when the text was saved.
    """
    rest = lines[i][start:]
    indent = start + len(rest) - len(rest.lstrip())
    pieces = [lines[i][indent:]]
    # Chinese and Japanese characters are two columns wide
    column = indent + sum(east_asian_width(char) in "WF" for char in lines[i][:indent])
    for line in lines[i + 1 :]:
        if not line.startswith(" " * column) or not line.strip():
            break
        pieces.append(line[column:])
    width = max(map(len, pieces))
    return "".join([piece.ljust(width) for piece in pieces[:-1]] + pieces[-1:]).split()
