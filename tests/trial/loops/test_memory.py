"""Limits on memory that kill, refuse or degrade, and what lifts them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.trial.loops.support import cured, loop
from tests.trial.loops.test_settings import server

pytestmark = pytest.mark.engine
MIB = 1 << 20


def cgroups() -> None:
    """A memory cgroup needs root and a controller that can be written."""
    from doctor.trial import cgroup

    if os.getuid() != 0:
        pytest.skip("a memory cgroup of its own needs root")
    del cgroup


def test_kv_cache_over_the_address_space(tiny: Path, port: int) -> None:
    setup = replace(server(tiny, port, "-c", "524288", "--fit", "off"), address_space=900 * MIB)
    _document, told = loop(setup)
    cured(told, "host-kv")


def test_kv_cache_over_the_cgroup(tiny: Path, port: int) -> None:
    cgroups()
    setup = replace(server(tiny, port, "-c", "524288", "--fit", "off"), memory=300 * MIB)
    document, told = loop(setup, remedy="smaller-context")
    cured(told, "cgroup-oom-kill")
    assert document.findings[0].rule_id == "cgroup-oom-kill"


def test_kv_cache_over_the_cgroup_that_is_raised(tiny: Path, port: int) -> None:
    cgroups()
    setup = replace(server(tiny, port, "-c", "524288", "--fit", "off"), memory=300 * MIB)
    _document, told = loop(setup, remedy="raise-limit")
    cured(told, "cgroup-oom-kill")


def test_weights_read_into_a_cgroup_that_is_smaller(large: Path, port: int) -> None:
    cgroups()
    setup = replace(server(large, port, "-c", "256", "--load-mode", "none", "--no-warmup"), memory=100 * MIB)
    _document, told = loop(setup, remedy="keep-mmap")
    cured(told, "cgroup-oom-kill")
    assert "mmap" in told.effect_text


def test_memlock(tiny: Path, port: int) -> None:
    plain = server(tiny, port, "-c", "256", "--load-mode", "mmap+mlock")
    if os.getuid() == 0:  # root may lock what it likes, unless the capability is taken away
        words = ("setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock", *plain.words)
        plain = replace(plain, words=words)
    _document, told = loop(replace(plain, locked_memory=MIB), remedy="raise-limit")
    cured(told, "mlock-limit")
