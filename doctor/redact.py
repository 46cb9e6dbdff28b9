"""Secrets out of everything that is written.

The same value gets the same token in a document, so that evidence can still be joined. What looks like a secret:
keys with a known prefix (Hugging Face, OpenAI-like, GitHub, Slack, AWS, Google, NVIDIA, ...), JSON web tokens, bearer
headers, values of key-like flags and variables, passwords in URLs, private key lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

_SECRET = re.compile(
    r"""
    (?P<known>
        \b(?:hf_[A-Za-z0-9]{20,} | api_org_[A-Za-z0-9]{20,}
        | sk-(?:proj-|ant-|or-|svcacct-)?[A-Za-z0-9_-]{16,}
        | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_\w{20,} | glpat-[\w-]{16,}
        | xox[abposr]-[A-Za-z0-9-]{10,} | nvapi-[\w-]{20,} | gsk_[A-Za-z0-9]{20,} | r8_[A-Za-z0-9]{20,}
        | (?:AKIA|ASIA)[A-Z0-9]{16} | AIza[\w-]{30,}
        | eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,})
    )
    | (?i:\bbearer\s+)(?P<bearer>[A-Za-z0-9._~+/-]{8,}=*)
    | (?i:--?(?:api-key|hf-token|hf_token|auth-token|token|password|ssl-key-password)(?:\s+|=))(?P<flag>[^\s'"\]]+)
    | (?i:\b[A-Z0-9_]*(?:API_?KEY|ACCESS_KEY|SECRET_KEY|_TOKEN|\bTOKEN|SECRET|PASSWORD|PASSWD)['"]?\s?[=:]\s?['"]?)
      (?P<named>[^\s'",;&\]}]{6,})
    | (?<=://)(?P<userinfo>[^\s/:@'"]{1,100}:[^\s/@'"]{1,200})(?=@)
    | (?P<pem>-----BEGIN\ [A-Z ]*PRIVATE\ KEY-----.*)
    """,
    re.X,
)
_HARMLESS = re.compile(r"(?i)none|null|true|false|unset|<.*>|\*+|[*x.]{3,}|not[ _]?set|\d{1,9}|\$\{?\w+\}?")


@dataclass(slots=True)
class Redactor:
    """Replaces secrets by ``<secret-1>``, ``<secret-2>``, ..., the same value by the same token."""

    tokens: dict[str, str] = field(default_factory=dict)

    def text(self, text: str) -> str:
        """``text`` without secrets."""
        return _SECRET.sub(self._replace, text) if len(text) > 5 else text

    def _replace(self, found: re.Match[str]) -> str:
        group = found.lastgroup
        if group is None:
            return found[0]
        value = found[group]
        if _HARMLESS.fullmatch(value):
            return found[0]
        token = self.tokens.setdefault(value, f"<secret-{len(self.tokens) + 1}>")
        start, end = found.start(group) - found.start(), found.end(group) - found.start()
        return found[0][:start] + token + found[0][end:]

    def data(self, value: Any) -> Any:
        """Every text in a value (dataclasses are changed in place)."""
        if isinstance(value, str):
            return self.text(value) if type(value) is str else value  # words of a closed list stay as they are
        if isinstance(value, list):
            return [self.data(item) for item in value]
        if isinstance(value, dict):
            return {key: self.data(item) for key, item in value.items()}
        if is_dataclass(value):
            for part in fields(value):
                setattr(value, part.name, self.data(getattr(value, part.name)))
        return value
