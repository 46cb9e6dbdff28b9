"""The catalogue of facts: which names there are, of which type and unit."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from doctor.cache import read_cache, write_cache

_FILE = Path(__file__).parent / "catalogue.yaml"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """``scalars``: fact name -> entry; ``records``: collection -> field -> entry (each entry has type, unit, doc)."""

    scalars: dict[str, dict[str, Any]]
    records: dict[str, dict[str, dict[str, Any]]]

    def type_of(self, name: str) -> str | None:
        """The type of a scalar, by open family (``env.*``) where needed; None for a name that does not exist."""
        entry = self.scalars.get(name) or self.scalars.get(name.split(".", maxsplit=1)[0] + ".*")
        return entry["type"] if entry else None

    def knows(self, name: str) -> bool:
        return self.type_of(name) is not None or name.split(".", maxsplit=1)[0] in self.records

    def suggest(self, name: str) -> str | None:
        """The nearest existing name."""
        from difflib import get_close_matches

        near = get_close_matches(name, [*self.scalars, *self.records], n=1, cutoff=0.6)
        return near[0] if near else None


@cache
def load_catalogue() -> Catalogue:
    """The catalogue, from its YAML file or from the cache of it (parsing it takes longer than a small log)."""
    status = _FILE.stat()
    key = f"{status.st_mtime_ns:x}-{status.st_size:x}"
    cached = read_cache("catalogue", key)
    if cached is not None:
        try:
            return Catalogue(**json.loads(cached))
        except (ValueError, TypeError):
            pass  # a damaged cache is the same as none
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    data = yaml.load(_FILE.read_text(encoding="utf-8"), loader)  # noqa: S506 - a safe loader
    write_cache("catalogue", key, json.dumps(data))
    return Catalogue(data["scalars"], data["records"])
