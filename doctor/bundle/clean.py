"""What leaves a machine in a bundle: without secrets, names, addresses and conversations; same value, same token."""

from __future__ import annotations

import getpass
import os
import re
import socket
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from doctor.bundle.conversations import without_conversations
from doctor.redact import Redactor
from doctor.report.anonymous import Mask

_COMMON_USERS = {
    "root",
    "user",
    "nobody",
    "daemon",
    "ubuntu",
    "debian",
    "runner",
    "ollama",
    "gpustack",
    "vllm",
    "llama",
    "admin",
}
_COMMON_HOSTS = {"localhost", "vm", "host", "server", "node", "box", "kernel", "linux", "debian", "ubuntu", "docker"}
_SYSLOG_HOST = re.compile(
    r"^(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT[\d:.,]+(?:Z|[+-]\d\d:?\d\d)?)"
    r" (?P<host>[A-Za-z][\w.-]{1,62})"
    r" [\w./@-]{1,60}(?:\[\d+\])?: ",
    re.MULTILINE,
)
_MAC = re.compile(r"(?<![0-9A-Fa-f:-])(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:-])")
_SERIAL = re.compile(
    r"(?i)(?P<key>serial(?: number)?(?: \(system\))?[\"']?\s?[:=>]\s?[\"']?)(?P<value>[A-Za-z0-9]{6,})"
)
_HOME = re.compile(r"(?:/home/|/Users/|/var/home/|[A-Z]:\\+Users\\+)(?P<user>[^\s/\\:'\",;<>()]{1,64})")
_MASKABLE = re.compile(
    r"\d\.\d+\.\d+\.\d|@|/home/|Users|[0-9A-Fa-f]:[0-9A-Fa-f]{0,4}:"
)  # what Mask may have to do with
_ID = re.compile(r"\b[ug]id=\d+\((?P<user>[^)]{1,64})\)")


@dataclass(slots=True)
class Cleaner:
    """One table of tokens for a whole bundle.

    Attributes:
        replaced: how many pieces of each kind were replaced.
    """

    secrets: Redactor = field(default_factory=Redactor)
    mask: Mask = field(default_factory=Mask)
    names: dict[str, str] = field(default_factory=dict)
    replaced: Counter[str] = field(default_factory=Counter)
    _pattern: re.Pattern[str] | None = None

    def learn_machine(self) -> None:
        """The names of this machine and of who works on it, wherever they stand."""
        with suppress(OSError):
            self._learn("host", socket.gethostname())
            self._learn("host", socket.getfqdn())
        with suppress(OSError, KeyError):
            self._learn("user", getpass.getuser())
        for name in ("SUDO_USER", "LOGNAME"):
            self._learn("user", os.environ.get(name, ""))
        self._learn("user", Path.home().name)

    def learn(self, text: str) -> None:
        """What a text gives away, before any is cleaned: secrets that a line alone would not show, owners of home
        folders, hosts of syslog lines."""
        self.secrets.learn(text)
        for found in _HOME.finditer(text):
            self._learn("user", found["user"])
        for found in _ID.finditer(text):
            self._learn("user", found["user"])
        for found in _SYSLOG_HOST.finditer(text):
            self._learn("host", found["host"])

    def _learn(self, kind: str, name: str) -> None:
        common = _COMMON_USERS if kind == "user" else _COMMON_HOSTS
        if len(name) < 3 or name.lower() in common or name.isdecimal() or name in self.names:
            return
        same = sum(token.startswith(f"<{kind}-") for token in self.names.values())
        self.names[name] = f"<{kind}-{same + 1}>"
        self._pattern = None

    def text(self, text: str) -> str:
        """The text as it may leave."""
        text, cut = without_conversations(text)
        self.replaced["prompts and completions"] += cut
        text = self._counted("secrets", self.secrets.text(text), text, "<secret-")
        text = _MAC.sub(lambda found: self._token("mac", found[0]), text)
        text = _SERIAL.sub(lambda found: found["key"] + self._token("serial", found["value"]), text)
        text = self._names(text)
        masked = "\n".join(self.mask.text(line) if _MASKABLE.search(line) else line for line in text.split("\n"))
        return self._counted("addresses and mail", masked, text, "<ip-", "<mail-")

    def data(self, value: Any) -> Any:
        """JSON data with each text cleaned by itself: a cut must not break the quotes around it."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.data(part) for part in value]
        return {name: self.data(part) for name, part in value.items()} if isinstance(value, dict) else value

    def _names(self, text: str) -> str:
        if not self.names:
            return text
        if self._pattern is None:
            longest = sorted(self.names, key=len, reverse=True)
            self._pattern = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest))})(?![\w-])")

        def replace(found: re.Match[str]) -> str:
            token = self.names[found[0]]
            self.replaced["users" if token.startswith("<user") else "hosts"] += 1
            return token

        return self._pattern.sub(replace, text)

    def _token(self, kind: str, value: str) -> str:
        self.replaced[f"{kind} numbers" if kind == "serial" else "MAC addresses"] += 1
        same = sum(token.startswith(f"<{kind}-") for token in self.mask.tokens.values())
        return self.mask.tokens.setdefault(value, f"<{kind}-{same + 1}>")

    def _counted(self, kind: str, after: str, before: str, *tokens: str) -> str:
        self.replaced[kind] += sum(after.count(token) - before.count(token) for token in tokens)
        return after
