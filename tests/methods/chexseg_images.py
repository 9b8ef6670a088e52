"""Images for the work upstream of chexseg, and what its CAMs would be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from test_chexseg_contract import SMALL
from torch import Tensor
from torch.nn import functional as F

from methods.chexseg import CheXsegConfig
from methods.chexseg.irnet import Seeds
from raysearch.method import Outcome, Pool, Task

TASK = Task(classes=("a", "b", "c"), view="multi", channels=1, size=(32, 32))
ROWS = np.arange(10, 90, 10, dtype=np.int64)


class Images:
    """Eight images; the first two have regions, and the others labels: a, b, both, neither."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        torch.manual_seed(0)
        labels = np.array([[1, 0, -1], [1, 1, 0]] * 2 + [[1, 0, -1], [0, 1, -1], [1, 1, 0], [0, 0, -1]], np.int8)
        truth = np.full((8, 3), -1, np.int8)
        truth[0], truth[1] = (1, 0, 0), (1, 1, 0)
        self.pool = Pool(rows=ROWS, labels=labels, truth=truth, source=np.zeros(8, np.int8))
        self.images = torch.rand(8, 1, 32, 32)
        self.masks = torch.zeros(3, 32, 32)
        self.own: Tensor | None = None  # (8, H, W), where pictures do not fill their canvas
        self.masks[0, 4:12, 4:20] = self.masks[1, 8:24, 16:24] = self.masks[2, 20:28, 4:12] = 1

    def batches(self, rows: NDArray[np.int64], size: int) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        for i in range(0, len(rows), size):
            yield rows[i : i + size], self.images[np.searchsorted(ROWS, rows[i : i + size])]

    def inside(self, rows: NDArray[np.int64]) -> Tensor | None:
        return None if self.own is None else self.own[np.searchsorted(ROWS, rows)]

    def regions(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        place = np.searchsorted(ROWS, rows)
        owner = torch.tensor([0, 1, 1])
        return self.masks[torch.isin(owner, torch.from_numpy(place))], torch.from_numpy(self.pool.truth[place])


def config(**settings: Any) -> CheXsegConfig:
    return CheXsegConfig(**{**SMALL, "weak_maps": 0, **settings})


def cams() -> Outcome:
    """As `Cams` leaves them for `Images`, with maps that rise to a corner of their own."""
    truth_or_label = (Images().pool.labels == 1) | (Images().pool.truth == 1)
    weak = np.isin(ROWS, [30, 40, 50, 60, 70])
    rows = np.union1d(ROWS[:2], ROWS[weak])
    image, label = torch.from_numpy(truth_or_label[np.searchsorted(ROWS, rows)]).nonzero().unbind(1)
    maps = torch.rand(len(image), 4, 4, generator=torch.Generator().manual_seed(3)) * (1 + label[:, None, None])
    return {
        "rows": torch.from_numpy(rows),
        "weak": torch.from_numpy(np.isin(rows, ROWS[weak])),
        "image": image,
        "label": label,
        "maps": maps,
    }


def enlarged(maps: Tensor) -> Tensor:
    return F.interpolate(maps[None], size=(32, 32), mode="bilinear", align_corners=False)[0]


def weak_maps() -> tuple[Tensor, Tensor, Tensor]:
    """Maps, images and classes of the pairs that get pseudo-labels."""
    outcome = cams()
    chosen = outcome["weak"][outcome["image"]]
    return outcome["maps"][chosen], outcome["image"][chosen] - 2, outcome["label"][chosen]


def seeded(outcome: Outcome | None = None, images: Images | None = None, **settings: Any) -> Outcome:
    work = Seeds(config(**settings), TASK)
    work.outcomes = {"cams": cams() if outcome is None else outcome}
    return work.outcome(work.build(), images or Images())
