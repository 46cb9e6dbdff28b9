"""All patterns, compiled to be searched for at once, and kept compiled in the user's cache.

Compiling takes some seconds, loading what was compiled a few milliseconds. The cache is keyed by everything that goes
into it; any trouble with it means compiling again.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import threading
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctor import __version__
from doctor.cache import read_cache, write_cache
from doctor.scan.engines import DENSE, Engine, Flavour, HyperscanEngine, PlainEngine, Searcher
from doctor.scan.patterns import Form, Pattern

if TYPE_CHECKING:
    from types import ModuleType

_FORMAT = 6
_DIGEST_BYTES = 16


class Database:
    """Patterns, ready to be searched for. Compiled (or loaded) when first needed.

    Attributes:
        patterns: in the order that breaks ties between hits on one line.
        forms: their scan forms, by number; filled at the first search.
        twins: a pattern's number -> the numbers of all that have its form; only the first of them is searched for.
        problems: which patterns were left out and why; complete after the first search.
    """

    def __init__(self, patterns: Iterable[Pattern], *, cache: bool = True) -> None:
        self.patterns = tuple(patterns)
        self.forms: list[Form] = []
        self.twins: dict[int, list[int]] = {}
        self.problems: list[str] = []
        self._cache = cache
        self._engines: dict[Flavour, Engine] = {}
        self._regexes: dict[int, Any] = {}
        self._lock = threading.Lock()
        self._thread = threading.local()

    @cached_property
    def dense(self) -> frozenset[int]:
        """The numbers of the dense patterns."""
        return frozenset(number for number, pattern in enumerate(self.patterns) if pattern.dense)

    def searcher(self, flavour: Flavour) -> Searcher:
        """This thread's searcher."""
        mine: dict[str, Searcher] = self._thread.__dict__
        if flavour not in mine:
            with self._lock:
                if flavour not in self._engines:
                    self._engines[flavour] = self._engine(flavour)
            mine[flavour] = self._engines[flavour].searcher()
        return mine[flavour]

    def regex(self, number: int) -> Any:
        """The pattern of that number as ``regex`` compiles it. Raises ``re.error``."""
        found = self._regexes.get(number)
        if found is None:
            import regex

            pattern = self.patterns[number]
            flags = regex.ASCII | (regex.IGNORECASE if pattern.ignore_case else 0)
            try:
                found = self._regexes[number] = regex.compile(pattern.pattern, flags)
            except (regex.error, ValueError) as error:
                raise re.error(str(error)) from error
        return found

    def _engine(self, flavour: Flavour) -> Engine:
        hyperscan = _hyperscan()
        if hyperscan is None:
            self._derive()
            return PlainEngine(self.patterns, self.forms, self._chosen(flavour), flavour)
        identity = f"{flavour} {hyperscan.__version__} {self._identity}"
        key = hashlib.blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()
        stored = read_cache("patterns", key) if self._cache else None
        engine = self._load(stored) if stored else None
        if engine is None:
            self._derive()
            chosen = self._chosen(flavour)
            engine = HyperscanEngine.compile(self.patterns, self.forms, chosen, flavour, self._leave_out)
            if engine is None:
                return PlainEngine(self.patterns, self.forms, [], flavour)
            if self._cache:
                write_cache("patterns", key, self._dump(engine))
        return engine

    @cached_property
    def _identity(self) -> str:
        patterns = [[p.pattern, p.ignore_case, p.dense] for p in self.patterns]
        return json.dumps([_FORMAT, __version__, _machine(), patterns], separators=(",", ":"))

    def _derive(self) -> None:
        if self.forms:
            return
        from doctor.scan.forms import derive

        for number, pattern in enumerate(self.patterns):
            self.forms.append(Form(b"", exact=False))
            try:
                form = derive(pattern.pattern)
            except Exception as error:
                self._leave_out(number, f"does not parse: {error}")
                continue
            if form.expression:
                self.forms[number] = form
            else:
                self._leave_out(number, "matches anything")
        self._pair()

    def _chosen(self, flavour: Flavour) -> list[int]:
        return [number for number in self.twins if self.patterns[number].dense == (flavour in DENSE)]

    def _pair(self) -> None:
        leaders: dict[tuple[bytes, bool, bool], int] = {}
        for number, (pattern, form) in enumerate(zip(self.patterns, self.forms, strict=True)):
            if form.expression:
                leader = leaders.setdefault((form.expression, pattern.ignore_case, pattern.dense), number)
                self.twins.setdefault(leader, []).append(number)

    def _leave_out(self, number: int, reason: str) -> None:
        for twin in self.twins.pop(number, [number]):
            self.forms[twin] = Form(b"", exact=False)
            self.problems.append(f"pattern {self.patterns[twin].key} is left out: {reason}")

    def _dump(self, engine: HyperscanEngine) -> bytes:
        database, ruler = engine.dump()
        forms = [
            [form.expression.decode("latin-1"), form.exact, [text.decode("latin-1") for text in form.texts]]
            for form in self.forms
        ]
        head = json.dumps([forms, self.problems, len(database)], separators=(",", ":")).encode()
        body = len(head).to_bytes(4, "little") + head + database + ruler
        return hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest() + body

    def _load(self, stored: bytes) -> HyperscanEngine | None:
        digest, body = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
        if hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest() != digest:
            return None
        try:
            start = 4 + int.from_bytes(body[:4], "little")
            forms, problems, length = json.loads(body[4:start])
            engine = HyperscanEngine.load(body[start : start + length], body[start + length :])
        except Exception:  # whatever is wrong with it, it is only a cache
            return None
        if not self.forms:
            self.forms = [
                Form(expression.encode("latin-1"), exact, tuple(text.encode("latin-1") for text in texts))
                for expression, exact, texts in forms
            ]
            self.problems = list(problems)
            self._pair()
        return engine


def _hyperscan() -> ModuleType | None:
    """hyperscan, where there is a wheel of it for this platform."""
    try:
        import hyperscan
    except ImportError:
        return None
    return hyperscan


def _machine() -> str:
    """What a compiled database depends on: the processor's features."""
    if sys.platform == "linux":
        wanted = (b"flags", b"Features", b"model name", b"CPU part")
        try:
            with Path("/proc/cpuinfo").open("rb") as file:
                first = file.read(8192).split(b"\n\n")[0]
        except OSError:
            first = b""
        return b"\n".join(line for line in first.split(b"\n") if line.startswith(wanted)).decode("ascii", "replace")
    import platform

    return f"{platform.machine()} {platform.processor()}"
