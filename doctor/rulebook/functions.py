"""The tests and filters that a rule's conditions and prose may use: ``x is rpc``, ``buffer | of_kind('kv') | count``.

Every function declares what it takes and gives, and what an absent subject means to it. An unknown subject or argument
makes the result unknown before the function is called, unless the function asks to see it (``raw``).
``TESTS`` and ``FILTERS`` hold them by name; the docstrings' first lines are their documentation. The filters of
collections are in ``aggregates``.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any

import doctor.rulebook.aggregates  # noqa: F401 - registers the filters of collections
from doctor.rulebook import values
from doctor.rulebook.devices import any_place, is_cpu, is_gpu, is_rpc
from doctor.rulebook.magic import identify
from doctor.rulebook.registry import FILTERS, TESTS, Function, WhenAbsent, test, value_filter
from doctor.units import format_size, format_size_both
from doctor.versions import Version, parse_range
from doctor.vocabulary.facts import ABSENT, Unknown

__all__ = ["FILTERS", "TESTS", "Function", "WhenAbsent"]

MAX_TEXT = 10_000
MATCH_SECONDS = 0.05


# --- tests: is it known? -------------------------------------------------------------------------------------------


@test(raw=True)
def _present(subject: Any) -> bool:
    """It is known and there; an empty list is not there. Never unknown itself."""
    return not isinstance(subject, Unknown) and subject is not ABSENT and subject != []


@test(raw=True)
def _absent(subject: Any) -> bool:
    """It is known not to be there. Never unknown itself."""
    return subject is ABSENT or subject == []


@test(raw=True)
def _known(subject: Any) -> bool:
    """Its value, or its absence, is known. Never unknown itself."""
    return not isinstance(subject, Unknown)


@test(raw=True)
def _unknown(subject: Any) -> bool:
    """Nothing in the input says what it is. Never unknown itself."""
    return isinstance(subject, Unknown)


# --- tests: what is it? --------------------------------------------------------------------------------------------


@test(takes=1, check=parse_range)
def _version(subject: Any, spec: str) -> bool | Unknown:
    """Its version lies in the range: `engine is version('>=0.0.117,<0.0.119')`."""
    if not isinstance(subject, (Version, str, int, float)):
        raise TypeError(f"{values.describe(subject)} is not a version")
    version = subject if isinstance(subject, Version) else Version.parse(str(subject))
    answer = version.within(spec)
    return Unknown() if answer is None else answer


@lru_cache(maxsize=256)
def _pattern(text: str) -> Any:
    import regex

    try:
        return regex.compile(text[:MAX_TEXT])
    except regex.error as error:
        raise ValueError(f"not a regular expression: {error}") from None


@test(takes=1, check=_pattern)
def _match(subject: Any, pattern: str) -> bool:
    r"""The regular expression is found somewhere in the text: `oom.device is match('^CUDA\d+$')`."""
    if not isinstance(subject, (str, int, float, Version)):
        raise TypeError(f"{values.describe(subject)} is not text")
    try:
        return _pattern(pattern).search(str(subject)[:MAX_TEXT], timeout=MATCH_SECONDS) is not None
    except TimeoutError:
        raise ValueError(f"the regular expression {pattern[:60]!r} takes too long") from None


@test()
def _rpc(subject: Any) -> bool:
    """A buffer or device on an RPC worker (`RPC0[127.0.0.1:50052]`); of a list: any of them."""
    return any_place(subject, is_rpc)


@test()
def _gpu(subject: Any) -> bool:
    """A buffer or device of a GPU back end (`CUDA0`, `ROCm0`, `MTL0_Mapped`), not `CUDA_Host`; of a list: any."""
    return any_place(subject, is_gpu)


@test()
def _cpu(subject: Any) -> bool:
    """A buffer in the host's memory (`CPU`, `CPU_Mapped`, `CUDA_Host`); of a list: any of them."""
    return any_place(subject, is_cpu)


# The same tests, to be read behind a collection: `buffer | of_kind('kv') is on_rpc`.
TESTS |= {"on_rpc": TESTS["rpc"], "on_gpu": TESTS["gpu"], "on_cpu": TESTS["cpu"]}


# --- filters of numbers ----------------------------------------------------------------------------------------------


@value_filter("number", takes=(0, 1))
def _round(value: Any, digits: Any = 0) -> int | float:
    """Rounded to so many decimals, 0 unless said."""
    places = int(values.bounded(digits))
    return round(values.bounded(value), min(places, 15)) if places > 0 else round(values.bounded(value))


@value_filter("number")
def _floor(value: Any) -> int:
    """The next whole number below."""
    return math.floor(values.bounded(value))


@value_filter("number")
def _ceil(value: Any) -> int:
    """The next whole number above."""
    return math.ceil(values.bounded(value))


@value_filter("number")
def _abs(value: Any) -> int | float:
    """Without its sign."""
    return abs(values.bounded(value))


@value_filter("number", takes=1)
def _min_of(value: Any, other: Any) -> int | float:
    """The smaller of two numbers: `free | min_of(limit)`."""
    return min(values.bounded(value), values.bounded(other))


@value_filter("number", takes=1)
def _max_of(value: Any, other: Any) -> int | float:
    """The greater of two numbers."""
    return max(values.bounded(value), values.bounded(other))


@value_filter("number")
def _int(value: Any) -> int:
    """As a whole number; decimals are cut."""
    return int(values.bounded(value))


@value_filter("number")
def _float(value: Any) -> float:
    """As a number with decimals."""
    return float(values.bounded(value))


# --- filters of text, and for prose ----------------------------------------------------------------------------------


def _text(value: Any) -> str:
    if not isinstance(value, (str, int, float, Version)):
        raise TypeError(f"{values.describe(value)} is not text")
    return str(value)[:MAX_TEXT]


@value_filter("text")
def _lower(value: Any) -> str:
    """In lower case."""
    return _text(value).lower()


@value_filter("text")
def _upper(value: Any) -> str:
    """In upper case."""
    return _text(value).upper()


@value_filter("text")
def _basename(value: Any) -> str:
    """The last part of a path, `/` or `\\` between its parts."""
    return re.split(r"[/\\]", _text(value).rstrip("/\\"))[-1]


@value_filter("text")
def _magic(value: Any) -> str:
    """What the file really is, from its first four bytes as quoted by the engine: `a Git LFS pointer`."""
    return identify(_text(value))


@value_filter("number")
def _length(value: Any) -> int:
    """Characters of a text, elements of a list or map."""
    return len(value) if isinstance(value, (list, dict)) else len(_text(value))


@value_filter("value", takes=1, raw=True)
def _default(value: Any, other: Any) -> Any:
    """Another value where this one is absent or unknown."""
    return other if value is ABSENT or isinstance(value, Unknown) else value


@value_filter("text")
def _size(value: Any) -> str:
    """Bytes as GiB, MiB or KiB."""
    return format_size(values.bounded(value))


@value_filter("text")
def _size_both(value: Any) -> str:
    """Bytes as GiB, with GB beside it."""
    return format_size_both(values.bounded(value))


@value_filter("text")
def _comma(value: Any) -> str:
    """A number with commas between the thousands: 1,426,000."""
    found = values.bounded(value)
    return f"{found:,}" if isinstance(found, int) else f"{round(found, 2):,}"
