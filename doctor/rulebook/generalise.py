"""A line of a log -> the pattern that finds the same failure in other logs.

Numbers, sizes, paths, addresses, versions, device names and quoted words become named, typed captures; what a program
prints before its own words (times, hosts, containers, source positions) is left out; the rest is taken literally.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

MAX_TEXT = 2000
MAX_PATTERN = 240  # characters of the line that it is made from
MAX_CAPTURES = 10
_COLOUR = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")  # what the scanner leaves out too
_LEAST_WORD = re.compile(r"[^\W\d_]{4}")

# What may stand before a program's own words and behind the prefixes that `read.prefix` knows.
_OWN_PREFIXES = re.compile(
    r"""(?: \d{4}[-/]\d\d[-/]\d\d[T\ ]\d\d:\d\d:\d\d\S*\s+                 # its own clock
      | (?:[01]?\d-\d\d\ )?\d\d:\d\d:\d\d(?:[.,]\d+)?\s+
      | \[?(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL|FATAL)\]?(?:\s+|:\s)(?=.*\S)
      | [DIWEF]\s+(?=\S)
      | \[[\w./-]+\.(?:py|go|rs|cpp|cc|c|cu):\d+\]\s+                    # [core.py:708]
      | [\w./~+-]+\.(?:cpp|cc|cxx|c|cu|cuh|h|hpp|hip|m|mm|metal|py|go|rs):\d+:\s+    # ggml-backend.cpp:746:
      | time=\S+\s+ | level=[A-Z]+\s+ | source=\S+\s+ | msg="?(?=\w)
    )""",
    re.X,
)
_KINDS = re.compile(
    r"""
      (?P<other>[^\x20-\x7e\xa1-\u1fff\u2030-\ud7ff\ue000-\ufffc]+)         # control characters, undecodable bytes
    | (?P<url>[a-z][a-z0-9+]{1,8}://[^\s'"<>()\[\]{},;]+)
    | (?P<when>\b\d{4}[-/]\d\d[-/]\d\d(?:[T ]\d\d:\d\d(?::\d\d)?[\d.,Z+:-]*)?|\b\d\d?:\d\d:\d\d(?:[.,]\d+)?)
    | (?P<hex>\b0x[0-9a-fA-F]+\b)
    | (?P<device>\b(?:CUDA|ROCm|HIP|Vulkan|SYCL|CANN|MUSA|MTL|Metal|GPU|cuda:|npu:|xpu:|mps:|Device\ )\d+\b
        |\bRPC\[[^\]\s]+\])
    | (?P<arch>\b(?:gfx\d[0-9a-f]*|sm_\d+\w?|compute_\d+\w?)\b)
    | (?P<endpoint>\b\d{1,3}(?:\.\d{1,3}){3}:\d{1,5}\b)
    | (?P<address>\b\d{1,3}(?:\.\d{1,3}){3}\b(?![.\w]))
    | (?P<size>(?<![\w.])\d+(?:[.,]\d+)?[ ]?(?:[KMGT]i?B|kB|Ki|Mi|Gi)\b)
    | (?P<version>(?<![\w.])v?\d+\.\d+\.\d+(?:[-+.]?\w+)*\b|\bb\d{4,5}\b)
    | (?P<path>(?<![\w.])(?:~|\.{1,2}|[A-Za-z]:)?[/\\](?:[\w.@%+=~-]+[/\\])*[\w.@%+=~-]*[\w@%+=~-])
    | (?P<file>(?<![\w./-])[\w@%+=-][\w.@%+=-]*\.
        (?:gguf|ggml|safetensors|bin|json|jinja|ya?ml|txt|pth?|onnx|so(?:\.\d+)*|dll)\b)
    | (?P<hash>\b(?=[0-9a-f]*\d)(?=\d*[a-f])[0-9a-f]{8,}\b)
    | (?P<float>(?<![\w.])-?\d+\.\d+(?![\w.]*\w))
    | (?P<int>(?<![\w.])-?\d+(?![\w]))
    | (?P<glued>(?<=[A-Za-z_.])\d+(?=\b|_|\.))
    | (?P<single>(?<!\w)'[^'\x00-\x1f]{0,80}'(?!\w))
    | (?P<double>(?<!\w)"[^"\x00-\x1f]{0,80}"(?!\w))
    | (?P<ticks>(?<!\w)`[^`\x00-\x1f]{0,80}`(?!\w))
    | (?P<blanks>[ ]{2,})
    """,
    re.X,
)
# What each kind is written as; a name is put into those with a group. Types are those of a rule's `captures`.
_WRITTEN = {
    "other": (r".+?", ""),
    "url": (r"(?P<{}>\w+://[^\s'\"<>]+)", ""),
    "when": (r"[\d:./TZ, +-]+", ""),
    "hex": (r"(?P<{}>0x[0-9a-fA-F]+)", ""),
    "device": (r"(?P<{}>[A-Za-z]+(?:[ :]?\d+|\[[^\]]+\]))", ""),
    "arch": (r"(?P<{}>[a-z]+_?\w+)", ""),
    "endpoint": (r"(?P<{}>[\w.-]+:\d+)", ""),
    "address": (r"(?P<{}>\d+(?:\.\d+)+)", ""),
    "size": (r"(?P<{}>\d+(?:[.,]\d+)?\s?[kKMGT]?i?B?)\b", "size"),
    "version": (r"(?P<{}>[vb]?\d[\w.+-]*)", "version"),
    "path": (r"(?P<{}>\S*[/\\]\S*)", ""),
    "file": (r"(?P<{}>[^\s'\"]+)", ""),
    "hash": (r"(?P<{}>[0-9a-f]+)", ""),
    "float": (r"(?P<{}>\d+(?:\.\d+)?)", "float"),
    "int": (r"(?P<{}>\d+)", "int"),
    "glued": (r"\d+", ""),
    "single": (r"'(?P<{}>[^']*)'", ""),
    "double": (r'"(?P<{}>[^"]*)"', ""),
    "ticks": (r"`(?P<{}>[^`]*)`", ""),
    "blanks": (r" +", ""),
}
_DEFAULT_NAMES = {
    "hex": "value", "int": "number", "float": "number", "single": "name", "double": "name", "ticks": "name",
    "file": "file", "arch": "arch",
}  # fmt: skip
_NAME_BEFORE = re.compile(r"([A-Za-z][A-Za-z_]*)\W{0,4}$")
_NOT_A_NAME = frozenset(
    """
    a an the of is was are be to for at with than in on from by and or not no if else true false none line as into per
    least most more less only over under got expected found need needs needed about after before code allocating failed
    error exceeds available try increasing
    """.split()  # noqa: SIM905
)
# Digits that belong to a name: q4_0, IQ2_XS, fp16, utf8, sha256, x86, p2p.
_PART_OF_A_NAME = re.compile(
    r"(?:^|[^A-Za-z\d])(?:i?q\d+_[a-z\d_]*|t?i?q|[bm]?x?fp|b?f|u?int|utf|sha|md|x|p2p|w\d+a|awq|gptq|marlin)$", re.I
)


@dataclass(frozen=True, slots=True)
class Generalised:
    """Attributes:
    text: the line without its prefixes, as it can stand in an example.
    pattern: what a rule's signature looks for.
    captures: the types of those captures that are more than text.
    values: what each capture is in this line.
    words: the literal words, for naming the rule and for finding its neighbours.
    """

    text: str
    pattern: str
    captures: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    words: tuple[str, ...] = ()


def own_words(line: str) -> str:
    """What the program itself said: without the wrapping and the prefixes of containers, journals and loggers."""
    text = _COLOUR.sub("", _unwrapped(line)).strip()
    from doctor.read.prefix import envelope

    for _turn in range(8):  # prefixes of prefixes: a journal of a compose file of a logger
        start = envelope(text).start
        if not start:
            found = _OWN_PREFIXES.match(text)
            start = found.end() if found else 0
        if not start or not _LEAST_WORD.search(text, start):
            break
        text = text[start:]
    return text.strip()


def _unwrapped(line: str) -> str:
    """The text inside a line of JSON: what Docker keeps on disk, `journalctl -o json`, structured loggers."""
    if line.lstrip().startswith("{") and line.rstrip().endswith("}"):
        import json

        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            return line
        for key in ("log", "MESSAGE", "msg", "message"):
            if isinstance(entry, dict) and isinstance(entry.get(key), str) and entry[key].strip():
                return str(entry[key]).strip().splitlines()[0]
    return line


def generalise(line: str) -> Generalised:
    """The pattern of one line.

    Raises:
        ValueError: it has no words that a pattern could be found by.
    """
    from doctor.scan.patterns import check

    text = own_words(line)[:MAX_TEXT]
    word = _LEAST_WORD.search(text)
    if word is None:
        raise ValueError("has no words by which it could be found: a pattern needs one of four letters at least")
    start = _beginning(text if word.end() < MAX_PATTERN else text[word.start() :])
    for plain in (False, True):  # where everything could be another value, the words are taken as they are
        made = _generalise(start, plain=plain)
        if not check(made.pattern) and re.search(made.pattern, text, re.ASCII):
            return replace(made, text=text)
    raise ValueError("can't be made a pattern that is searched for fast")


def _beginning(text: str) -> str:
    """A bounded piece of a long line, cut between two words if there are any."""
    if len(text) <= MAX_PATTERN:
        return text
    cut = text.rfind(" ", MAX_PATTERN // 2, MAX_PATTERN)
    return text[: cut if cut > 0 else MAX_PATTERN]


def _generalise(text: str, *, plain: bool) -> Generalised:
    pattern, words = [], []
    captures: dict[str, str] = {}
    values: dict[str, str] = {}
    at = 0
    for found in _KINDS.finditer(text):
        kind = found.lastgroup or "other"
        if (plain and kind != "other") or not _stands_for_others(kind, text, found):
            continue
        literal = text[at : found.start()]
        words.append(literal)
        pattern.append(_literal(literal))
        written, type_ = _WRITTEN[kind]
        if found[0].startswith("-"):
            written = written.replace(r"\d", r"-?\d", 1)
        if "{}" in written and len(values) < MAX_CAPTURES:
            name = _name(kind, text, found, values)
            type_ = _type(kind, type_, name, text, found)
            values[name] = found[0].strip("'\"`") if kind in {"single", "double", "ticks"} else found[0]
            if type_:
                captures[name] = type_
            pattern.append(written.replace("{}", name, 1))
        else:
            pattern.append(written.replace("(?P<{}>", "(?:"))
        at = found.end()
    words.append(text[at:])
    pattern.append(_literal(text[at:]))
    return Generalised(text, "".join(pattern), captures, values, tuple(_words(words)))


def _stands_for_others(kind: str, text: str, found: re.Match[str]) -> bool:
    """False for digits that belong to a name: q4_0, fp16, sha256, x86."""
    return kind != "glued" or not _PART_OF_A_NAME.search(text[: found.start()])


def _type(kind: str, type_: str, name: str, text: str, found: re.Match[str]) -> str:
    if kind == "int" and (
        text[found.end() :].lstrip().startswith("bytes") or (name.startswith("size") and len(found[0]) >= 7)
    ):
        return "bytes"
    return type_


def _name(kind: str, text: str, found: re.Match[str], taken: dict[str, str]) -> str:
    """After the word before it (``n_keep = 1``, ``on device 0``), else after what it is."""
    name = _DEFAULT_NAMES.get(kind, kind)
    if kind in {"int", "float", "single", "double", "ticks", "hex"} and (
        before := _NAME_BEFORE.search(text[: found.start()])
    ):
        word = before[1].lower().strip("_")
        if len(word) > 1 and word not in _NOT_A_NAME and len(word) <= 24:
            name = word
    base, count = name, 2
    while name in taken:
        name, count = f"{base}_{count}", count + 1
    return name


def _literal(text: str) -> str:
    """As it stands, with the signs of the pattern language escaped (`re.escape` escapes blanks and more)."""
    return re.sub(r"([\\.^$*+?{}\[\]()|])", r"\\\1", text)


def _words(literals: list[str]) -> Iterator[str]:
    for text in literals:
        yield from re.findall(r"[A-Za-z][A-Za-z_]*[A-Za-z]", text)
