from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a cache of its own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("RAYSEARCH_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    default = Path(__file__).parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("RAYSEARCH_DATA", default))
    if not (folder / "chestxray14").is_dir():
        pytest.skip(f"no real images at {folder}; set RAYSEARCH_DATA to their folder")
    return folder
