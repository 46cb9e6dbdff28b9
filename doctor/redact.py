"""Secrets out of everything that is written.

The same value gets the same token in a document, so that evidence can still be joined. What looks like a secret:
keys with a known prefix (Hugging Face, OpenAI-like, GitHub, Slack, AWS, Google, NVIDIA, ...), JSON web tokens, bearer
and other authorization headers, cookies, values of key-like flags and variables, passwords and signatures in URLs,
web hooks, private keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache, lru_cache
from typing import Any

_SECRET = re.compile(
    r"""
    (?P<known>
        (?<![A-Za-z0-9_])(?:hf_[A-Za-z0-9]{20,} | api_org_[A-Za-z0-9]{20,}
        | sk-(?:proj-|ant-|or-|svcacct-)?[A-Za-z0-9_-]{16,} | [sr]k_(?:live|test)_[A-Za-z0-9]{16,}
        | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_\w{20,} | gl(?:pat|dt|rt|sa|oas)[-_][\w-]{16,}
        | xox[abeposr]-[A-Za-z0-9-]{10,} | xapp-\d-[\w-]{10,} | nvapi-[\w-]{20,} | gsk_[A-Za-z0-9]{20,}
        | r8_[A-Za-z0-9]{20,} | pplx-[A-Za-z0-9]{20,} | xai-[A-Za-z0-9]{20,} | csk-[a-z0-9]{20,}
        | (?:fw|tgp_v1|lin_api|sbp|dop_v1|doo_v1)_[A-Za-z0-9_-]{20,} | dckr_pat_[\w-]{20,} | npm_[A-Za-z0-9]{30,}
        | pypi-Ag[\w-]{30,} | tskey-\w+-[\w-]{10,} | hv[bs]\.[\w-]{20,} | SG\.[\w-]{16,}\.[\w-]{16,}
        | (?:AKIA|ASIA|AGPA|AROA)[A-Z0-9]{16} | AIza[\w-]{30,} | ya29\.[\w-]{20,} | GOCSPX-[\w-]{20,}
        | eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}
        | \d{8,10}:AA[\w-]{33})
    )
    | (?i:\bbearer\s+)(?P<bearer>[A-Za-z0-9._~+/-]{8,}=*)
    | (?i:\b(?:proxy-)?authorization['"]?\s?[=:]\s?['"]?(?:basic|token|apikey|digest|negotiate)\s+)
      (?P<scheme>[^\s'"]{6,})
    | (?i:\b(?:x-(?:api-key|auth-token|goog-api-key|amz-security-token|vault-token)|api-key|private-token
      |(?:set-)?cookie)
      ['"]?\s?:\s?['"]?)(?P<header>[^\s'",}]{6,}(?:;\s[^\s'"=;]{1,40}=[^\s'";]{1,4096}){0,20})
    | (?i:--?(?:api-key|api-keys|hf-token|hf_token|auth-token|access-token|token|password|ssl-key-password|ngrok-token)
      (?:\s+|=)['"]?)(?P<flag>[^\s'"\]]+)
    | (?i:(?:API_?KEY|API-KEY|ACCESS_?KEY(?:_ID)?|ACCOUNT_?KEY|SECRET_?KEY|_TOKEN
        |(?<![A-Za-z0-9])TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|key-data|_AUTH|auth)
      ['"]?\s?[=:]\s?['"]?)(?P<named>[^\s'",;&\]}]{6,})
    | (?i:\bmachine\s+\S+\s+login\s+\S+\s+password\s+)(?P<netrc>\S+)
    | (?i:[?&](?:sig|signature|x-amz-signature|x-amz-credential|x-goog-signature|access_token|key|api_key|token|auth)=)
      (?P<query>[^\s&'"#]{6,})
    | (?<=://)(?P<userinfo>[^\s/:@'"]{1,100}:[^\s/@'"]{1,200})(?=@)
    | (?i:https://(?:hooks\.slack\.com/services|discord(?:app)?\.com/api/webhooks
      |[\w.-]{1,80}\.webhook\.office\.com/webhookb2)/)
      (?P<webhook>[\w/@-]{10,})
    | (?P<pem>-----BEGIN\ [A-Z ]{0,40}PRIVATE\ KEY-----
      (?:(?:(?!-----BEGIN)[\s\S]){0,20000}?-----END\ [A-Z ]{0,40}PRIVATE\ KEY-----|.*))
    """,
    re.X,
)
# In lower case; a line without any of these holds none of the above. Most lines of a log are done with here.
_HINTS = (
    *(
        "hf_",
        "api_org_",
        "sk-",
        "sk_",
        "rk_",
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_pat_",
        "gl",
        "xox",
        "xapp-",
    ),
    *(
        "nvapi-",
        "gsk_",
        "r8_",
        "pplx-",
        "xai-",
        "csk-",
        "fw_",
        "tgp_",
        "lin_api_",
        "sbp_",
        "dop_",
        "doo_",
        "dckr_",
        "npm_",
    ),
    *(
        "pypi-",
        "tskey-",
        "hvs.",
        "hvb.",
        "sg.",
        "akia",
        "asia",
        "agpa",
        "aroa",
        "aiza",
        "ya29.",
        "gocspx-",
        "eyj",
        ":aa",
    ),
    *(
        "bearer",
        "authorization",
        "api-key",
        "api_key",
        "apikey",
        "private-token",
        "cookie",
        "x-auth",
        "x-goog",
        "x-amz",
    ),
    *("x-vault", "token", "password", "passwd", "passphrase", "secret", "credential", "accesskey", "access_key"),
    *("accountkey", "account_key", "key-data", "auth", "://", "sig=", "signature=", "key=", "private key"),
)
# A secret's name and its value on lines of their own, as Kubernetes, property lists and JSON write them.
_NAME = (
    r"[\w.-]{0,60}(?:API[_-]?KEYS?|ACCESS[_-]?KEY(?:[_-]?ID)?|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?"
    r"|(?<![A-Za-z])(?:TOKEN|KEY|AUTH))"
)
_APART = re.compile(
    rf"""
    name:\s*["']?{_NAME}["']?\s*\n\s*value:\s*["']?(?P<yaml>[^\s"']{{6,}})
    | <key>{_NAME}</key>\s*<string>(?P<xml>[^<\n]{{6,}})</string>
    | "name"\s*:\s*"{_NAME}"\s*,\s*"value"\s*:\s*"(?P<json>[^"\n]{{6,}})"
    """,
    re.X | re.I,
)
_SECRET_MANIFEST = re.compile(r"^kind:[ \t]*[\"']?Secret[\"']?[ \t]*$", re.M)
_DATA = re.compile(r"^(?:data|stringData):[ \t]*\n(?P<lines>(?:[ \t]+\S.*(?:\n|\Z)|[ \t]*\n)+)", re.M)
_ENTRY = re.compile(r"^[ \t]+[\w.-]{1,253}:[ \t]*[\"']?(?P<value>[^\s\"'|>][^\s\"']{5,})", re.M)
_SHORTEST_LEARNED = 8  # a shorter one may be a word that stands elsewhere too
_MOST_CLEAN = 10_000
_LINE_END = re.compile(r"(\r?\n)")
_HARMLESS = re.compile(r"(?i)none|null|true|false|unset|<.*>|\*+|[*x.]{3,}|not[ _]?set|\d{1,9}|\$\{?\w+\}?")


@lru_cache(maxsize=2_000)
def _may_hold_one(line: str) -> bool:
    lowered = line.lower()
    return any(map(lowered.__contains__, _HINTS))


@dataclass(slots=True)
class Redactor:
    """Replaces secrets by ``<secret-1>``, ``<secret-2>``, ..., the same value by the same token.

    Attributes:
        learned: values that a whole text has told to be secret: a line of it, alone, would not.
    """

    tokens: dict[str, str] = field(default_factory=dict)
    learned: set[str] = field(default_factory=set)
    _pattern: re.Pattern[str] | None = None
    _clean: set[str] = field(
        default_factory=set, repr=False
    )  # lines with nothing to replace: documents repeat themselves

    def learn(self, text: str) -> None:
        """Takes note of secrets whose names stand on another line; from then on they go, wherever they stand."""
        values = [next(filter(None, found.groups())) for found in _APART.finditer(text)]
        for document in re.split(r"^---.*$", text, flags=re.M) if _SECRET_MANIFEST.search(text) else []:
            if _SECRET_MANIFEST.search(document):
                values += [
                    each["value"] for data in _DATA.finditer(document) for each in _ENTRY.finditer(data["lines"])
                ]
        new = {value for value in values if len(value) >= _SHORTEST_LEARNED and not _HARMLESS.fullmatch(value)}
        if not new <= self.learned:
            self.learned |= new
            self._clean.clear()
            longest = sorted(self.learned, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest)))

    def text(self, text: str) -> str:
        """``text`` without secrets."""
        if len(text) < 6:
            return text
        if "\n" not in text:
            return self._line(text)
        if any(word in text for word in ("value", "<key>", "kind: Secret")):
            self.learn(text)
        if "PRIVATE KEY-----" in text:  # a key is a block of lines
            text = _SECRET.sub(self._replace, text)
        return "".join(map(self._line, _LINE_END.split(text)))

    def _line(self, line: str) -> str:
        if line in self._clean:
            return line
        made = line
        if self._pattern is not None:
            made = self._pattern.sub(lambda found: self._token(found[0]), made)
        if _may_hold_one(made):
            made = _SECRET.sub(self._replace, made)
        if made == line and len(self._clean) < _MOST_CLEAN:
            self._clean.add(line)
        return made

    def _replace(self, found: re.Match[str]) -> str:
        group = found.lastgroup
        if group is None:
            return found[0]
        value = found[group]
        if _HARMLESS.fullmatch(value):
            return found[0]
        token = self._token(value)
        start, end = found.start(group) - found.start(), found.end(group) - found.start()
        return found[0][:start] + token + found[0][end:]

    def _token(self, value: str) -> str:
        return self.tokens.setdefault(value, f"<secret-{len(self.tokens) + 1}>")

    def data(self, value: Any) -> Any:
        """Every text in a value (dataclasses are changed in place)."""
        kind: Any = type(value)
        if kind is str:  # words of a closed list, whose type is their own, stay as they are
            return value if len(value) < 6 or value in self._clean else self.text(value)
        if isinstance(value, list):
            return [self.data(item) for item in value]
        if isinstance(value, dict):
            return {key: self.data(item) for key, item in value.items()}
        for name in _names(kind):
            setattr(value, name, self.data(getattr(value, name)))
        return value


@cache
def _names(kind: Any) -> tuple[str, ...]:
    """The attributes of a dataclass; of anything else, none."""
    return tuple(part.name for part in fields(kind)) if is_dataclass(kind) else ()
