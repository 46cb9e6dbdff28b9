"""What searches blocks of bytes for all forms at once: hyperscan, or ``re`` where there is no hyperscan."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from doctor.scan.patterns import Form, Pattern

# rare: every match of every pattern that is not dense. once: the first match of each of them. dense: every match of
# every dense pattern. sample: the first match of each of them.
Flavour = Literal["rare", "once", "dense", "sample"]
FIRST_ONLY: tuple[Flavour, ...] = ("once", "sample")
DENSE: tuple[Flavour, ...] = ("dense", "sample")
Found = dict[int, list[int]]  # number of the pattern -> where its matches end

LINES_A_MARK = 512
# Counts newlines, so many at a time. Python's own count is as fast but holds the interpreter's lock, so that two
# threads would count one after the other; this runs beside everything else.
_MARKS = b"^(?:(?:[^\\x0a]*\\x0a){%d})+" % LINES_A_MARK


class Searcher(Protocol):
    """Searches blocks, for one thread."""

    def search(self, data: Any, limit: int) -> tuple[Found, bool]:
        """The matches in ``data``, and whether it stopped at ``limit`` of them; the ends are about in order."""

    def marks(self, data: Any) -> list[int]:
        """Offsets behind every ``LINES_A_MARK``-th newline; none where that is not cheaper than counting."""


class Engine(Protocol):
    def searcher(self) -> Searcher: ...


class HyperscanEngine:
    def __init__(self, database: Any, ruler: Any) -> None:
        self.database = database
        self.ruler = ruler

    @classmethod
    def load(cls, database: bytes, ruler: bytes) -> HyperscanEngine:
        """From ``dump()``. Raises ``hyperscan.HyperscanError`` for what is damaged or of another kind of processor."""
        import hyperscan

        engine = cls(*(hyperscan.loadb(data, mode=hyperscan.HS_MODE_BLOCK) for data in (database, ruler)))
        engine.searcher().search(b" ", 1)  # a database of another kind of processor shows only here
        return engine

    @classmethod
    def compile(
        cls,
        patterns: Sequence[Pattern],
        forms: Sequence[Form],
        chosen: Sequence[int],
        flavour: Flavour,
        refuse: Callable[[int, str], None],
    ) -> HyperscanEngine | None:
        """Of the patterns and forms those ``chosen``, by number; None when nothing is left of them. ``refuse`` is told
        of each that hyperscan does not take, and why."""
        import hyperscan

        numbers = list(chosen)
        try:
            database = cls._compile(patterns, forms, flavour, numbers) if numbers else None
        except hyperscan.HyperscanError:
            for number in list(numbers):
                try:
                    cls._compile(patterns, forms, flavour, [number])
                except hyperscan.HyperscanError as error:
                    refuse(number, f"hyperscan does not take its scan form: {error}")
                    numbers.remove(number)
            database = cls._compile(patterns, forms, flavour, numbers) if numbers else None
        if database is None:
            return None
        ruler = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        ruler.compile(expressions=[_MARKS], ids=[0], flags=[0])
        return cls(database, ruler)

    @staticmethod
    def _compile(patterns: Sequence[Pattern], forms: Sequence[Form], flavour: Flavour, numbers: list[int]) -> Any:
        import hyperscan

        expressions, flags = [], []
        for number in numbers:
            pattern = patterns[number]
            expressions.append(forms[number].expression)
            flags.append(
                (hyperscan.HS_FLAG_CASELESS if pattern.ignore_case else 0)
                | (hyperscan.HS_FLAG_SINGLEMATCH if flavour in FIRST_ONLY else 0)
            )
        database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        database.compile(expressions=expressions, ids=numbers, flags=flags)
        return database

    def dump(self) -> tuple[bytes, bytes]:
        import hyperscan

        return hyperscan.dumpb(self.database), hyperscan.dumpb(self.ruler)

    def searcher(self) -> Searcher:
        return _HyperscanSearcher(self)


class _HyperscanSearcher:
    """Has scratch space of its own. While hyperscan searches, the other threads run."""

    def __init__(self, engine: HyperscanEngine) -> None:
        import hyperscan

        self._database, self._ruler = engine.database, engine.ruler
        self._scratch, self._ruler_scratch = hyperscan.Scratch(engine.database), hyperscan.Scratch(engine.ruler)
        self._terminated = hyperscan.ScanTerminated

    def search(self, data: Any, limit: int) -> tuple[Found, bool]:
        found: Found = defaultdict(list)
        count = 0

        def on_match(number: int, _start: int, end: int, _flags: int, _context: object) -> bool:
            nonlocal count
            found[number].append(end)
            count += 1
            return count >= limit

        try:
            self._database.scan(data, match_event_handler=on_match, scratch=self._scratch)
        except self._terminated:
            return found, True
        return found, False

    def marks(self, data: Any) -> list[int]:
        found: list[int] = []
        append = found.append

        def on_mark(_number: int, _start: int, end: int, _flags: int, _context: object) -> None:
            append(end)

        self._ruler.scan(data, match_event_handler=on_mark, scratch=self._ruler_scratch)
        return found


class PlainEngine:
    """Without hyperscan: one search a pattern, where its literal text is there at all. The hits are the same."""

    def __init__(
        self, patterns: Sequence[Pattern], forms: Sequence[Form], chosen: Sequence[int], flavour: Flavour
    ) -> None:
        self._searches = [
            (
                number,
                max(forms[number].texts, key=len, default=b""),
                re.compile(forms[number].expression, re.IGNORECASE if patterns[number].ignore_case else 0),
                flavour in FIRST_ONLY,
            )
            for number in chosen
        ]

    def searcher(self) -> Searcher:
        return self

    def search(self, data: Any, limit: int) -> tuple[Found, bool]:
        text = bytes(data)
        lower = text.lower()
        found: Found = {}
        for number, text_of_all, form, single in self._searches:
            if text_of_all in lower and (match := form.search(text)):
                found[number] = [match.end()] if single else [match.end() for match in form.finditer(text)]
        return found, False

    def marks(self, data: Any) -> list[int]:
        return []
