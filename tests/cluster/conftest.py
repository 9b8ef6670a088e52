from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def studies() -> Path:
    return Path(os.environ["RAYSEARCH_STUDIES"])
