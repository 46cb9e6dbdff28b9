"""Models of benchmarks/modelgen.py, and machines, for these tests."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from modelgen import SPECS
from modelgen import model as of_spec

from doctor.memory.model import HyperParameters
from doctor.memory.values import Values
from doctor.model.document import Model
from doctor.planning.fits import Case
from doctor.planning.layout import pieces_of
from doctor.planning.settings import Settings, settings_of
from doctor.planning.target import Device, Target

MIB, GIB = 1024**2, 1024**3


def model(name: str) -> Model:
    return of_spec(SPECS[name])


def machine(*sizes: float, ram: float = 64, backend: str = "rpc", **more: Any) -> Target:
    """A machine with devices of so many GiB each."""
    devices = [
        Device(f"GPU{index}", round(size * GIB), round(size * GIB), "a card", backend, 1e12)
        for index, size in enumerate(sizes)
    ]
    return Target("test", tuple(devices), ram=round(ram * GIB), **more)


def case(name: str, target: Target) -> Case:
    known = model(name)
    hyper = HyperParameters.from_facts(Values(known.resolve))
    return Case(pieces_of(known.tensors, hyper), hyper, target)


def settings(of: Case, **given: Any) -> Settings:
    """``context=4096`` for the fact ``setting.context``."""
    facts = {"setting.context": 4096, "setting.slots": 1} | {f"setting.{key}": value for key, value in given.items()}
    return settings_of(facts, of.model)
