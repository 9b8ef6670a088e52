"""A made-up method, its package of search spaces, and the shortest valid file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest

from raysearch.method import LossThreshold


@dataclass(frozen=True, kw_only=True)
class ToyConfig:
    """Settings of every type; `temperature` has no default."""

    temperature: float
    lr: float = 0.1
    depth: int = 2
    mode: Literal["mean", "max"] = "mean"
    flip: bool = True
    backbone: str = "slim"
    extra: float | None = None
    jitter: tuple[float, float] = (0.0, 0.0)
    tau: float = 0.7

    def __post_init__(self) -> None:
        if self.depth > 9:
            raise ValueError(f"depth is {self.depth}: expected at most 9")


BASE = """\
method: toy
preset: paper
budget: {epochs: 3, samples: 4}
train:
  temperature: {type: float, low: 0.5, high: 2, default: 1, source: ours}
  lr: {type: float, low: 1e-5, high: 1e-1, log: true, default: 1e-3, source: ours}
  depth: {type: int, low: 0, high: 6, default: 2, when: {mode: max}, source: ours}
  mode: {type: choice, choices: [mean, max], default: mean, source: ours}
  jitter: {value: [0.1, 0.2], source: ours}
loss:
  tau: {type: float, low: 0, high: 1, default: 0.7, source: ours}
decision:
  mask_threshold: {type: float, low: 0, high: 1, default: 0.5, source: ours}
"""
LINES = BASE.splitlines()


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a search space asks of a method class; its package is `tmp_path`/toy_spaces."""
    folder = tmp_path / "toy_spaces"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "toy.yaml").write_text(BASE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "toy_spaces", raising=False)
    return SimpleNamespace(
        name="toy",
        Config=ToyConfig,
        decision_thresholds={"mask_threshold": 0.5},
        loss_thresholds=(LossThreshold(name="tau"),),
        spaces="toy_spaces",
        folder=folder,
    )


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    """Writes a user's file and returns its path."""

    def write(text: str) -> str:
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return str(path)

    return write
