"""Several services that speak in one log at the same time (a journal, `docker compose logs`): whose line is whose.

Their prefixes tell. Lives that follow each other need no such parting, whatever their processes: they are runs of one
service. Only where the lines of two interleave would the words of one be taken for the other's.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from doctor.read.prefix import Speaker, speaker

if TYPE_CHECKING:
    from doctor.scan.runs import Observation


@dataclass(slots=True)
class Lane:
    """What one service says in a log.

    Attributes:
        name: tells the services of one log apart; empty for the only one.
        first_line, last_line: None for the whole log.
    """

    name: str
    observations: list[Observation]
    first_line: int | None = None
    last_line: int | None = None


@dataclass(slots=True)
class _Service:
    name: str
    last_line: int
    observations: list[Observation] = field(default_factory=list)


def lanes(observations: list[Observation], dialects: Mapping[str, Any]) -> list[Lane]:
    """The hits of a source, parted where engines of several processes speak in turns.

    Lines without a process of an engine (a supervisor's, say) go with the line before them.

    Args:
        observations: in line order.
        dialects: by name, with their kind.
    """
    engines = {
        who
        for observation in observations
        if _names_engine(observation, dialects) and (who := speaker(observation.line.text))
    }
    if len(engines) < 2:
        return [Lane("", observations)]
    said = [(who, observation) for observation in observations if (who := speaker(observation.line.text)) in engines]
    spans: dict[Speaker, tuple[int, int]] = {}
    for who, observation in said:
        if who is not None:
            spans[who] = (spans.get(who, (observation.number,))[0], observation.number)
    ordered = sorted(spans.items(), key=lambda item: item[1])
    if all(last < first for (_, (_, last)), (_, (first, _)) in pairwise(ordered)):
        return [Lane("", observations)]
    services: list[_Service] = []
    service_of: dict[Speaker | None, _Service] = {}
    for who, (first, last) in ordered:
        free = (s for s in services if s.name.partition(" ")[0] == who.unit and s.last_line < first)
        service = next(free, None)
        if service is None:
            same = sum(s.name.partition(" ")[0] == who.unit for s in services)
            service = _Service(f"{who.unit} {same + 1}" if same else who.unit, last)
            services.append(service)
        service.last_line = last
        service_of[who] = service
    numbers = [observation.number for _, observation in said]
    for observation in observations:
        near = said[max(bisect_right(numbers, observation.number) - 1, 0)][0]
        service_of[near].observations.append(observation)
    return [Lane(s.name, s.observations, s.observations[0].number, s.observations[-1].number) for s in services]


def _names_engine(observation: Observation, dialects: Mapping[str, Any]) -> bool:
    """Whether the line is surely an engine's own: not a supervisor's that speaks of it."""
    kind, _, rest = observation.key.partition(":")
    if kind != "d":
        return False
    name, section, index = rest.rsplit(":", 2)
    if section not in {"recognise", "starts"} or dialects[name]["kind"] != "engine":
        return False
    line = dialects[name][section][int(index)]
    return bool(line["certain"] if section == "recognise" else not line["weak"])
