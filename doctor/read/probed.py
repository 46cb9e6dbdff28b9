"""A probe document (``llmdoctor probe -o FILE``): each answer in it becomes a source of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from doctor.read.limits import MIB, Unreadable

MOST_BYTES = 32 * MIB
_MOST_YAML = 2 * MIB
_JSON = re.compile(rb'\s*\{\s*"schema"\s*:\s*"llmdoctor/probe/')
_YAML = re.compile(rb"(?m)^schema:[ \t]*['\"]?llmdoctor/probe/")
_OTHERS = re.compile(rb'\s*\{\s*"schema"\s*:\s*"llmdoctor/(?:diagnosis|bundle)/')
_VERSION = 1
# Answers that are logs; the others are saved output. What the shell that asked had set is of no service.
LOGS = {"kernel log", "kernel journal"}
HIDDEN = {"environment"}
_TELLING = {"nvidia-smi", "rocm-smi", "amd-smi static", "npu-smi", "xpu-smi"}  # "driver/library version mismatch"
_PLAIN = re.compile(r"[^\w.+-]+")


@dataclass(frozen=True, slots=True)
class Part:
    """A text in the document, and what it is. Facts that were read out of answers are read again: a newer reader sees
    more; those without answers were written by hand, and are a text of their own."""

    name: str
    kind: Literal["hardware", "log"]
    text: str


def is_ours(head: bytes) -> bool:
    """A document of llmdoctor's that says nothing that is not said elsewhere."""
    return bool(_OTHERS.match(head))


def is_probe(head: bytes) -> bool:
    """By the schema that it names."""
    return bool(_JSON.match(head) or (head[:1] not in b"{[" and _YAML.search(head[:4096])))


def parts(data: bytes) -> tuple[str, list[Part]]:
    """The machine's name, and the texts in the document.

    Raises:
        Unreadable: not a document of a known version.
    """
    document = _load(data)
    schema = document.get("schema")
    found = re.fullmatch(r"llmdoctor/probe/(\d{1,6})", schema) if isinstance(schema, str) else None
    if not found:
        raise Unreadable("not a probe document: no schema", "llmdoctor probe -o FILE writes one")
    if int(found[1]) > _VERSION:
        raise Unreadable(
            f"a probe document of version {found[1]}; this llmdoctor reads version {_VERSION}", "update llmdoctor"
        )
    host = document.get("host")
    return host[:255] if isinstance(host, str) else "", list(_parts(document))


def _load(data: bytes) -> dict[str, Any]:
    text = data.decode("utf-8-sig", "replace")
    try:
        if text.lstrip().startswith("{"):
            document = json.loads(text)
        elif len(data) > _MOST_YAML:
            raise Unreadable(f"a YAML document of more than {_MOST_YAML // MIB} MiB", "write it as JSON")
        else:
            import yaml

            document = yaml.safe_load(text)
    except RecursionError:
        raise Unreadable("the document is nested too deep") from None
    except Exception as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(
            f"the document can't be read: {' '.join(str(error).split())[:200]}", "was it cut off?"
        ) from None
    if not isinstance(document, dict):
        raise Unreadable("not a probe document")
    return document


def _parts(document: dict[str, Any]) -> Iterator[Part]:
    answers = _answers(document)
    told = [
        f"record answer = {json.dumps({'name': name, 'status': answer.get('status')})}"
        for name, answer in answers.items()
    ]
    logs = {name: len(answers[name]["output"]) for name in LOGS & answers.keys()}
    for name, answer in answers.items():
        if name in HIDDEN or not answer["output"].strip() or not _says_something(name, answer):
            continue
        if name in LOGS and name != max(sorted(logs), key=lambda log: logs[log]):
            continue  # the same lines
        yield Part(_PLAIN.sub("-", name), "log" if name in LOGS else "hardware", answer["output"])
    if told:
        yield Part("answers", "hardware", "\n".join(["# llmdoctor/probe/1: answers", *told]) + "\n")
    values = list(_values(document)) if not answers else []
    if values:
        yield Part("values", "hardware", "\n".join(["# llmdoctor/probe/1: values", *values]) + "\n")


def _answers(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By name, the first of each, with an output that is a text."""
    found: dict[str, dict[str, Any]] = {}
    answers = document.get("answers")
    for answer in answers[:500] if isinstance(answers, list) else []:
        if isinstance(answer, dict) and isinstance(answer.get("name"), str):
            output = answer.get("output")
            found.setdefault(answer["name"][:80], {**answer, "output": output if isinstance(output, str) else ""})
    return found


def _says_something(name: str, answer: dict[str, Any]) -> bool:
    """What a tool says instead of an output counts where it is about the machine, not about the tool's own rights."""
    return answer.get("status", "ok") in {"ok", "timed_out"} or name in _TELLING


def _values(document: dict[str, Any]) -> Iterator[str]:
    facts, records = document.get("facts"), document.get("records")
    for name, value in facts.items() if isinstance(facts, dict) else []:
        if re.fullmatch(r"[a-z][\w.]{0,80}", str(name)):
            yield f"{name} = {_dumped(value)}"
    for kind, elements in records.items() if isinstance(records, dict) else []:
        for element in elements[:10_000] if isinstance(elements, list) else []:
            if isinstance(element, dict) and re.fullmatch(r"[a-z]\w{0,40}", str(kind)):
                yield f"record {kind} = {_dumped({str(field): value for field, value in element.items()})}"


def _dumped(value: Any) -> str:
    return json.dumps(value, default=str)
