"""Versions as engines print them, and their partial order.

Four ways of counting are told apart:

- *dotted*: ``0.0.117``, ``v0.5.0rc2``, ``2.13.0.dev3``, ``0.5.7-3-ga420a45``, ordered as PEP 440 orders them
  (``1.0.dev1 < 1.0a1 < 1.0rc1 < 1.0 < 1.0.post1``); a local part (``2.3.0+cu121``, ``0.3.16-cu124``) has no weight;
- *build*: the number of commits, as llama.cpp numbers its builds: ``b4598``, ``build: 4598``, ``4598 (abc1234)``;
- *date*: ``2024-11-05``, ``20241105``;
- *other*: anything else, which equals itself and can't be ordered.

llama.cpp of 2026 prints both kinds: ``0.5.0-dev (build 10809, commit 0c1e570)``. Two traps lie there (docs/release.md
of llama.cpp, and cmake/build-info.cmake): ``-dev`` is a build option that is on unless the packager turns it off, so
such a build may lie before or after release 0.5.0; and a build number of 0 or 1 only says that the sources came
without their history. What can't be ordered is *unknown* (None), never False.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Scheme = Literal["dotted", "build", "date", "other"]
Sign = Literal[-1, 0, 1]

MAX_TEXT = 100
MAX_RANGE = 400
_FINAL = (3, 0)
_NEVER = 10**20  # sorts behind every number that `_DOTTED` takes
_PRE = {"a": 0, "alpha": 0, "b": 1, "beta": 1, "c": 2, "rc": 2, "pre": 2, "preview": 2}

# Kept as text: compiling them would cost every start some milliseconds, and `re` keeps what it has compiled.
_LEAD = r"(?i)(?:[a-z][\w.-]{0,20} )?(?:version|release)(?: is)?[ :=]*"
_DATE = r"(?P<year>20[1-9]\d)(?P<dash>[-/]?)(?P<month>0[1-9]|1[0-2])(?P=dash)(?P<day>0[1-9]|[12]\d|3[01])(?!\d)"
_BUILD = (
    r"(?i)(?:b|build[ :=]*)(?P<number>[0-9]{1,9})(?![\w.])"
    r"|build[ :=]*[0-9a-f]{7,40} \((?P<behind>[0-9]{1,9})\)"
    r"|(?P<bare>[0-9]{4,9})(?![\w.])"
    r"|(?P<short>[0-9]{1,9}) \([0-9a-f]{7,40}\)"
)
_DOTTED = (
    r"(?i)v?(?P<numbers>[0-9]{1,18}(?:\.[0-9]{1,18}){0,7})"
    r"(?:[-_.]?(?P<pre>alpha|beta|preview|pre|a|b|c|rc)[-_.]?(?P<pre_number>[0-9]{0,18}))?"
    r"(?:[-_.]?(?:post|rev|r)[-_.]?(?P<post>[0-9]{0,18})|-(?P<ahead>[0-9]{1,9})(?:-g[0-9a-f]{4,40})?)?"
    r"(?:[-_.]?dev[-_.]?(?P<dev>[0-9]{0,18}))?"
    r"(?P<rest>[-+~_ ].*)?"
)
_COMMIT = r"(?i)(?:\bcommit[ :]+|-g|\(|build[ :=]+)(?P<commit>[0-9a-f]{7,40})\b"
_BUILD_INSIDE = r"(?i)\bbuild[ :]+(?P<number>[0-9]{1,9})\b"
_CLAUSE = r"(?P<operator>==|!=|>=|<=|>|<|)\s*(?P<version>[^\s<>=!].*)"

# Release numbers without trailing zeros, then pre-release, post-release and development part.
Key = tuple[tuple[int, ...], tuple[int, int], int, int]


@dataclass(frozen=True, slots=True)
class Version:
    """A version: its text as printed, and as much of its order as that text gives.

    Attributes:
        raw: the text, cut at 100 characters.
        scheme: how it counts; a text with both a release and a build number is *dotted*.
        key: sort key of a dotted version or a date.
        build: number of commits behind it, where the text has one that means something (see above).
        commit: abbreviated hash, lower case.
        nightly: a ``-dev (build ...)`` that may lie on either side of its own release.
    """

    raw: str
    scheme: Scheme = "other"
    key: Key | None = None
    build: int | None = None
    commit: str | None = None
    nightly: bool = False

    @staticmethod
    def parse(text: str) -> Version:
        """Reads any text; one that is no version gets scheme ``other``. Never raises."""
        return _parse(text[:MAX_TEXT].strip())

    def within(self, spec: str) -> bool | None:
        """Whether this version lies in a range such as ``>=0.0.117,<0.0.119``, ``==b4598`` or ``!=0.6.1``.

        A pre-release of the bound sorts before it, so ``0.0.119rc1`` lies in ``<0.0.119``: it may lack the fix.

        Returns:
            None when a part can't be ordered and no other part is false.

        Raises:
            ValueError: ``spec`` is not a range.
        """
        answers = [_holds(operator, compare(self, bound)) for operator, bound in parse_range(spec)]
        if False in answers:
            return False
        return None if None in answers else True

    def __str__(self) -> str:
        return self.raw


def compare(a: Version, b: Version) -> Sign | None:
    """-1, 0 or 1 as ``a`` is older than, the same as or newer than ``b``; None when they can't be ordered."""
    if a.raw == b.raw or _same_commit(a, b):
        return 0
    if a.build is not None and b.build is not None:
        return _sign(a.build, b.build)
    if a.key is None or b.key is None or a.scheme != b.scheme:
        return None
    if (a.nightly or b.nightly) and a.key[0] == b.key[0]:
        return None
    return _sign(a.key, b.key)


@lru_cache(maxsize=512)
def parse_range(spec: str) -> tuple[tuple[str, Version], ...]:
    """The clauses of a range as (operator, version). A version without operator means ``==``.

    Raises:
        ValueError: empty, over-long, or a part that is no version.
    """
    if len(spec) > MAX_RANGE:
        raise ValueError(f"a version range has at most {MAX_RANGE} characters")
    clauses = []
    for part in spec.split(","):
        found = re.fullmatch(_CLAUSE, part.strip())
        version = Version.parse(found["version"]) if found else None
        if found is None or version is None or version.scheme == "other":
            raise ValueError(f"not a version range: {part.strip()!r} (write '>=0.0.117,<0.0.119' or '>=b4598')")
        clauses.append((found["operator"] or "==", version))
    return tuple(clauses)


def _holds(operator: str, sign: Sign | None) -> bool | None:
    if sign is None:
        return None
    return {
        "==": sign == 0, "!=": sign != 0, "<": sign < 0, "<=": sign <= 0, ">": sign > 0, ">=": sign >= 0,
    }[operator]  # fmt: skip


@lru_cache(maxsize=2048)
def _parse(text: str) -> Version:
    lead = re.match(_LEAD, text)
    body = text[lead.end() :] if lead else text
    found_commit = re.search(_COMMIT, body)
    commit = found_commit["commit"].lower() if found_commit else None
    if date := re.match(_DATE, body):
        day = (int(date["year"]), int(date["month"]), int(date["day"]))
        return Version(text, "date", (day, _FINAL, -1, _NEVER))
    if build := re.match(_BUILD, body):
        number = int(build["number"] or build["behind"] or build["bare"] or build["short"])
        return Version(text, "build", build=_meaningful(number), commit=commit)
    if dotted := re.fullmatch(_DOTTED, body):
        inside = re.search(_BUILD_INSIDE, dotted["rest"] or "")
        return Version(
            text,
            "dotted",
            _key(dotted),
            build=_meaningful(int(inside["number"])) if inside else None,
            commit=commit,
            nightly=dotted["dev"] is not None and inside is not None,
        )
    return Version(text, commit=commit)


def _key(found: re.Match[str]) -> Key:
    """PEP 440's order: a development part alone sorts before every pre-release, a missing one after all."""
    numbers = [int(part) for part in found["numbers"].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    post = -1
    if found["post"] is not None:
        post = int(found["post"] or 0)
    elif found["ahead"] is not None:  # `git describe`: so many commits after the tag, 0 on it
        post = int(found["ahead"]) or -1
    dev = _NEVER if found["dev"] is None else int(found["dev"] or 0)
    if found["pre"]:
        pre = (_PRE[found["pre"].lower()], int(found["pre_number"] or 0))
    else:
        pre = (-1, 0) if found["dev"] is not None and post == -1 else _FINAL
    return tuple(numbers), pre, post, dev


def _meaningful(build: int) -> int | None:
    """Sources without history count 0 or 1 commits."""
    return build if build > 1 else None


def _same_commit(a: Version, b: Version) -> bool:
    return bool(a.commit and b.commit) and (a.commit or "")[:7] == (b.commit or "")[:7]


def _sign(a: object, b: object) -> Sign:
    return 0 if a == b else -1 if a < b else 1  # type: ignore[operator]
