"""The cache folder: private, where the platform wants it, never needed."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from doctor.cache import cache_folder, read_cache, write_cache


def test_it_lies_where_the_platform_wants_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMDOCTOR_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for base in ("", str(tmp_path / "elsewhere")):
        monkeypatch.setenv("XDG_CACHE_HOME", base)
        assert cache_folder() == platformdirs.user_cache_path("llmdoctor", appauthor=False)


def test_a_folder_that_others_can_write_to_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMDOCTOR_CACHE_DIR", str(tmp_path))
    write_cache("kind", "key", "text")
    assert read_cache("kind", "key") == b"text"
    tmp_path.chmod(0o777)
    assert cache_folder() is None
    assert read_cache("kind", "key") is None
    write_cache("kind", "key", "other")
    tmp_path.chmod(0o700)
    assert read_cache("kind", "key") == b"text"
