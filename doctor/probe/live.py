"""This machine as a source: the probe document goes the way of a file that somebody sent."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

from doctor.probe.document import Probe
from doctor.probe.take import take
from doctor.read.sources import Collection, add_stream

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "this machine"


def add_machine(found: Collection, probe: Probe | None = None, model_folders: Sequence[str] = ()) -> None:
    """Adds its answers to what is read; it is asked now unless it was before."""
    probe = probe or take(model_folders=model_folders)
    add_stream(io.BytesIO(json.dumps(probe.to_dict(), default=str).encode()), NAME, found)
