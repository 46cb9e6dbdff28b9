"""Finds and reads the file of settings; what is wrong in it is told with file, line and the nearest right word."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctor import __version__
from doctor.cache import read_cache, write_cache
from doctor.errors import UsageProblem
from doctor.settings import Choice, Settings
from doctor.vocabulary.terms import Severity

if TYPE_CHECKING:
    from pydantic import ValidationError

OWN, SHARED = "llmdoctor.toml", "pyproject.toml"
_MOST_BYTES = 1 << 20
_TABLE = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?$")
_AT_LINE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)")


@dataclass(slots=True)
class Loaded:
    """Settings with the file that they come from, None for the defaults."""

    settings: Settings = field(default_factory=Settings)
    path: Path | None = None

    def beside(self, name: str) -> str:
        """A path of the file as the program has to open it."""
        return str(self.path.parent / name) if self.path is not None else name

    @property
    def rules(self) -> list[str]:
        """Folders and names of packs. A word that is no folder beside the file and has no slash is a pack's name."""
        named = self.settings.rules
        return [
            self.beside(each) if "/" in each or "\\" in each or Path(self.beside(each)).is_dir() else each
            for each in named
        ]

    @property
    def baseline(self) -> str | None:
        return self.beside(self.settings.baseline) if self.settings.baseline else None

    @property
    def reserve(self) -> int:
        """Bytes."""
        from doctor.units import parse_size

        return parse_size(str(self.settings.reserve)) if self.settings.reserve is not None else 0

    @property
    def choice(self) -> Choice:
        chosen = self.settings
        return Choice(tuple(chosen.select), tuple(chosen.ignore), dict(chosen.severity), str(self.path or ""))


def key_of(name: str) -> str:
    """`fail_on` of the program is `fail-on` in the file."""
    return name.replace("_", "-")


def settings_for(config: str | None = None, *, none: bool = False, start: Path | None = None) -> Loaded:
    """The settings of a file that is named, else of the nearest one upward; the defaults without any.

    Args:
        config: a file: `llmdoctor.toml`, or any TOML with `[tool.llmdoctor]`.
        none: take no file at all.
        start: the folder to begin in, the working directory by default.

    Raises:
        UsageProblem: the file can't be read, or something in it is wrong.
    """
    if none:
        return Loaded()
    path = Path(config) if config is not None else nearest(start or Path.cwd())
    return Loaded() if path is None else read(path)


def nearest(start: Path) -> Path | None:
    """The first file upward; in one folder `llmdoctor.toml` counts before pyproject.toml."""
    for folder in (start, *start.parents):
        own = folder / OWN
        if own.is_file():
            return own
        shared = folder / SHARED
        if shared.is_file() and b"llmdoctor" in _bytes(shared) and _table(shared, _bytes(shared)) is not None:
            return shared
    return None


def read(path: Path) -> Loaded:
    """Reads a file; one that was found right before is taken from the cache.

    Raises:
        UsageProblem: it can't be read, or something in it is wrong.
    """
    content = _bytes(path)
    key = hashlib.sha256(f"{__version__}\0{path.name}\0{_shape()}\0".encode() + content).hexdigest()
    cached = read_cache("settings", key)
    if cached is not None:
        try:
            return Loaded(_plain(json.loads(cached)), path)
        except (ValueError, TypeError, KeyError):
            pass  # a damaged cache is the same as none
    found = _table(path, content)
    if found is None:
        raise UsageProblem("has no [tool.llmdoctor]", subject=str(path), hint="--config names a file of settings")
    settings = _validated(found, path, content.decode("utf-8"))
    write_cache("settings", key, json.dumps({name: getattr(settings, name) for name in _names()}))
    return Loaded(settings, path)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the file, for editors."""
    from pydantic import TypeAdapter

    made = TypeAdapter(Settings).json_schema()
    made["properties"] = {key_of(name): value for name, value in made["properties"].items()}
    return made


def _names() -> list[str]:
    return [each.name for each in fields(Settings)]


def _shape() -> str:
    return ",".join(f"{each.name}:{each.type}" for each in fields(Settings))


def _plain(data: Mapping[str, Any]) -> Settings:
    given = dict(data)
    given["fail_on"] = Severity(given["fail_on"])
    given["severity"] = {name: Severity(value) for name, value in given["severity"].items()}
    return Settings(**given)


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageProblem(f"can't be read: {error.strerror}", subject=str(path)) from None
    if len(content) > _MOST_BYTES:
        raise UsageProblem(f"is larger than {_MOST_BYTES >> 20} MiB", subject=str(path))
    return content


def _table(path: Path, content: bytes) -> dict[str, Any] | None:
    """The keys of the file; of a shared one those of `[tool.llmdoctor]`, None if it has none."""
    import tomllib

    try:
        data = tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise UsageProblem("is not UTF-8", subject=str(path)) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        at = _AT_LINE.search(str(error))
        place = f"{path}:{at[1]}" if at and at[1] else str(path)
        raise UsageProblem(f"is no TOML: {_AT_LINE.sub('', str(error))}", subject=place) from None
    if path.name != SHARED and "tool" not in data:
        return data
    tool = data.get("tool")
    found = tool.get("llmdoctor") if isinstance(tool, dict) else None
    return found if isinstance(found, dict) else None


def _validated(data: Mapping[str, Any], path: Path, text: str) -> Settings:
    from pydantic import TypeAdapter, ValidationError

    known = {key_of(name): name for name in _names()}
    table = "tool.llmdoctor" if re.search(r"(?m)^\s*\[\s*tool\s*\.\s*llmdoctor\b", text) else ""
    for key in data:
        if key not in known:
            raise _misspelt(key, known, f"{path}:{line_of(text, table, (key,))}")
    try:
        settings = TypeAdapter(Settings).validate_python({known[key]: value for key, value in data.items()})
    except ValidationError as error:
        raise _wrong(error, path, text, table) from None
    if settings.reserve is not None:
        from doctor.units import parse_size

        try:
            size = parse_size(str(settings.reserve))
        except ValueError:
            size = -1
        if size < 0:
            place = f"{path}:{line_of(text, table, ('reserve',))}"
            raise UsageProblem(f"reserve: not a size: {settings.reserve!r}", subject=place, hint='for example "2 GiB"')
    return settings


def _misspelt(key: str, known: Mapping[str, str], place: str) -> UsageProblem:
    from difflib import get_close_matches

    near = get_close_matches(key.replace("_", "-"), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(known)}"
    return UsageProblem(f"no such key: {key}", subject=place, hint=hint)


def _wrong(error: ValidationError, path: Path, text: str, table: str) -> UsageProblem:
    detail = error.errors()[0]
    where = tuple(key_of(str(part)) if number == 0 else str(part) for number, part in enumerate(detail["loc"]))
    where = where[:1] if where[:1] == ("reserve",) else where
    hint = None
    if detail["type"] in {"enum", "literal_error"}:
        from difflib import get_close_matches

        words = re.findall(r"'([^']+)'", str(detail.get("ctx", {}).get("expected", "")))
        near = get_close_matches(str(detail["input"]), words, n=1)
        hint = f"did you mean {near[0]}?" if near else None
    place = f"{path}:{line_of(text, table, where)}"
    return UsageProblem(f"{'.'.join(where)}: {detail['msg']}", subject=place, hint=hint)


def line_of(text: str, table: str, where: tuple[str, ...]) -> int:
    """The line on which a key stands, as far as TOML is written in the plain way; else that of its table, else 1."""
    now, best, most = "", 1, 0
    for number, line in enumerate(text.split("\n"), 1):
        if found := _TABLE.match(line):
            now = re.sub(r"\s*\.\s*|[\"']", lambda sign: "." if "." in sign[0] else "", found[1])
            key = None
        else:
            given = re.match(r"\s*([\w.-]+|\"[^\"]*\"|'[^']*')\s*=", line)
            key = given[1].strip("\"'") if given else None
        full = ".".join(part for part in (now, key) if part)
        for depth in range(len(where), 0, -1):
            wanted = ".".join(part for part in (table, *where[:depth]) if part)
            if full == wanted and depth > most:
                best, most = number, depth
        if now == table and table and best == 1 and not most:
            best = number
    return best
