from __future__ import annotations

from pathlib import Path

import pytest

from export.finished_studies import copy_of_exported, copy_of_finished
from raysearch.study import Study


@pytest.fixture
def study(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of two complete trials."""
    return copy_of_finished(tmp_path_factory.getbasetemp(), tmp_path / "studies")


@pytest.fixture
def model(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of such a study."""
    return copy_of_exported(tmp_path_factory.getbasetemp(), tmp_path / "model")
