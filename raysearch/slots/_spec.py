"""What a study's worker groups are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class GroupSpec:
    """Resources are per worker.

    Attributes:
        workload: what is trained on which data; goes to `raysearch.training.Workload`.
        storage: a folder for Ray Train's own files.
        patience: seconds without a heartbeat after which a group that is busy hangs.
    """

    workload: dict[str, Any]
    workers: int
    cpus: float
    gpus: float
    storage: str
    patience: float
