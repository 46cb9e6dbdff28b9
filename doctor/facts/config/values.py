"""Values of flags and variables: their types, and secrets that must not be kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol

from doctor.facts.convert import convert
from doctor.vocabulary.facts import ABSENT


class OptionLike(Protocol):
    """What is needed of an option of a dialect."""

    @property
    def setting(self) -> str: ...
    @property
    def flags(self) -> Sequence[str]: ...
    @property
    def env(self) -> Sequence[str]: ...
    @property
    def type(self) -> str: ...
    @property
    def default(self) -> Any: ...


SWITCHES = {"switch_on": True, "switch_off": False}
MASK = "***"
_SECRET = re.compile(r"(?:(?:key|secret|credential)s?|token|password|passwd|passphrase)$", re.IGNORECASE)
_USER_INFO = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]{1,20}://)[^/\s:@]{1,200}:[^/\s@]{1,500}@")
_HUMAN_INT = re.compile(r"(?P<number>\d{1,12}(?:\.\d{1,9})?)(?P<unit>[kKmMgGtT])")
_DECIMAL = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def is_secret(name: str) -> bool:
    """Whether a variable of that name holds a secret: a part of the name ends in KEY, TOKEN, SECRET or PASSWORD.

    A plural (MAX_TOKENS) or a longer word (TOKENIZERS_PARALLELISM, KEEP_ALIVE) is none, except API_KEYS and SECRETS.
    """
    return any(_SECRET.search(part) for part in name.split("_"))


def masked(name: str, value: str) -> str:
    """The value as it may be kept: secrets and passwords inside of addresses are replaced."""
    if value and is_secret(name):
        return MASK
    return _USER_INFO.sub(rf"\g<scheme>{MASK}@", value)


def option_value(text: str | None, kind: str) -> Any:
    """The typed value of a flag or variable.

    Args:
        text: as written; ``None`` when the flag stands alone.
        kind: the option's type. An int may be written as vLLM takes it: ``32k`` is 32000, ``32K`` is 32768.

    Returns:
        The value; the text itself where it is no value of that type but a word of its own (``-ngl all``); ``True`` for
        a bool that stands alone or whose text says neither yes nor no (it is a secret, or belongs to something else).
    """
    if kind in SWITCHES:
        return SWITCHES[kind]
    if text is None:
        return True if kind == "bool" else "on" if kind == "str" else None
    if kind == "int" and (found := _HUMAN_INT.fullmatch(text.strip())):
        unit = found["unit"]
        factor = _DECIMAL[unit] if unit in _DECIMAL else 1024 ** (" KMGT".index(unit))
        return int(float(found["number"]) * factor)
    value = convert(text, kind)
    if value is ABSENT:
        return True if kind == "bool" else text.strip()
    return value


def truth(text: str) -> bool | None:
    """``"on"`` -> True, ``"0"`` -> False, anything else ``None``."""
    value = convert(text, "bool")
    return value if isinstance(value, bool) else None
