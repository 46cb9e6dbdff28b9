"""A document that can be shown to strangers: user names, addresses and host names replaced by stable tokens.

Secrets are gone already (doctor/redact.py); this goes further, for what leaves the company.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from doctor.redact import Redactor
from doctor.vocabulary.document import Diagnosis, read

_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_PRIVATE = re.compile(
    rf"""
    (?:(?<=/home/)|(?<=/Users/)|(?<=[\\/]Users\\))(?P<user>[^\s/\\:'"]+)
    | (?P<mail>\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b)
    # Not 0.0.0.0 and 127.x; not a clock such as 0.10.167.162 with a level behind it.
    | (?<![\w.-])(?!127\.|0\.0\.0\.0)(?P<ip>(?:{_OCTET}\.){{3}}{_OCTET})(?![\w.]|\ [IWEDT]\ )
    | (?<![\w:.])(?P<ip6>
        (?:[0-9a-f]{{1,4}}:){{5,7}}[0-9a-f]{{1,4}}
        | (?:fe80|f[cd][0-9a-f]{{2}}|2[0-9a-f]{{3}})(?::[0-9a-f]{{0,4}}){{2,7}}
      )(?![\w:])
    """,
    re.X | re.I,
)
_CLOSED = re.compile(r"Literal|Role|Confidence|Verdict")  # types of fields that hold one of a few words
_OURS = {"user", "root", "shared", "runner"}


@dataclass(slots=True)
class Mask:
    """Replaces what tells who and where by tokens, the same by the same.

    Attributes:
        nodes: names of machines, and what stands for them.
    """

    nodes: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def text(self, text: str) -> str:
        masked = _PRIVATE.sub(self._replace, text)
        for name, token in self.nodes.items():
            masked = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", token, masked)
        return masked

    def _replace(self, found: re.Match[str]) -> str:
        if found["user"] is not None:
            return found["user"] if found["user"] in _OURS else self._token("user", found["user"])
        kind = "mail" if found["mail"] else "ip"
        return self._token(kind, found[0])

    def _token(self, kind: str, value: str) -> str:
        same = sum(1 for token in self.tokens.values() if token.startswith(f"<{kind}-"))
        return self.tokens.setdefault(value, f"<{kind}-{same + 1}>")

    def data(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.data(item) for item in value]
        if isinstance(value, dict):
            return {key: self.data(item) for key, item in value.items()}
        return value


def without(document: Diagnosis, *, names: bool, words: Sequence[str]) -> Diagnosis:
    """The document without these words (in any case of letters), and on request without names and addresses."""
    masked = anonymous(document) if names else document
    wanted = sorted({word.strip() for word in words} - {""}, key=len, reverse=True)
    if not wanted:
        return masked
    tokens = {word.lower(): f"<word-{number}>" for number, word in enumerate(sorted(set(map(str.lower, wanted))), 1)}
    pattern = re.compile("|".join(map(re.escape, wanted)), re.I)

    def replaced(value: Any) -> Any:
        if isinstance(value, str):
            found = pattern.sub(lambda word: tokens[word[0].lower()], value)
            return found if type(value) is str else value
        if isinstance(value, list):
            return [replaced(item) for item in value]
        if isinstance(value, dict):
            return {replaced(key): replaced(item) for key, item in value.items()}
        if is_dataclass(value):
            for part in fields(value):
                if not _CLOSED.search(str(part.type)) and part.name not in {"schema", "llmdoctor"}:
                    setattr(value, part.name, replaced(getattr(value, part.name)))
        return value

    made: Diagnosis = replaced(masked)
    return made


def anonymous(document: Diagnosis) -> Diagnosis:
    """A copy of the document without names and addresses (and without secrets, should it hold any)."""
    names = {run.node for run in document.runs} | {source.node for source in document.sources}
    nodes = {name: f"host-{number}" for number, name in enumerate(sorted(names - {"local", ""}), 1)}
    masked = read(json.dumps(Mask(nodes).data(document.to_dict())))
    Redactor().data(masked)
    return masked
