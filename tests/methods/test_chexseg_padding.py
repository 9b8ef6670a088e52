"""The work upstream of CheXseg on pictures in padding leaves what it leaves of the pictures alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from chexseg_images import TASK, Images, cams, config
from numpy.typing import NDArray
from torch import Tensor

from methods.chexseg.cams import Cams
from methods.chexseg.classifier import Classifier
from methods.chexseg.irnet import Seeds
from methods.chexseg.pseudo_labels import CamLabels, WalkLabels
from methods.layers.inside import continued
from raysearch.method import Outcome, Upstream


class Padded(Images):
    """The upper half of each canvas of 32 x 32 is padding."""

    task = TASK

    def __init__(self) -> None:
        super().__init__()
        self.own = torch.zeros(8, 32, 32, dtype=torch.bool)
        self.own[:, 16:] = True
        self.masks[:] = 0
        self.masks[0, 20:28, 4:20] = self.masks[1, 18:30, 16:24] = self.masks[2, 22:30, 4:12] = 1


class Unaware(Padded):
    def inside(self, rows: NDArray[np.int64]) -> Tensor | None:
        return None


class Cut(Padded):
    """The lower halves alone."""

    task = replace(TASK, size=(16, 32))

    def __init__(self) -> None:
        super().__init__()
        self.images, self.masks, self.own = self.images[:, :, 16:], self.masks[:, 16:], None


def left(kind: type[Upstream], images: Padded, outcomes: dict[str, Outcome], **settings: Any) -> Outcome:
    work = kind(config(**settings), images.task)
    work.outcomes = outcomes
    return work.outcome(work.build().eval(), images)


def both_cams() -> tuple[Outcome, Outcome]:
    """As `Cams` leaves them of `Padded` and of `Cut`, on 4 x 4 and 2 x 4 cells."""
    whole = cams()
    own = torch.zeros_like(whole["maps"], dtype=torch.bool)
    own[:, 2:] = True
    return {**whole, "maps": continued(whole["maps"], own)}, {**whole, "maps": whole["maps"][:, 2:]}


def masks_of(outcome: Outcome, size: tuple[int, int]) -> Tensor:
    bits = np.unpackbits(outcome["packed"].numpy(), axis=1)
    return torch.from_numpy(bits.reshape(-1, *size).astype(bool))


def assert_alike(whole: Outcome, cut: Outcome) -> None:
    assert torch.equal(whole["truth"], cut["truth"])
    padded, alone = masks_of(whole, (32, 32)), masks_of(cut, (16, 32))
    assert torch.equal(padded[:, 16:], alone)
    assert not padded[:, :16].any()
    assert 0 < int(alone.sum()) < alone.numel()


@pytest.mark.parametrize("scale", ["max", "raw"])
@pytest.mark.parametrize("rule", ["fixed", "tuned", "otsu"])
def test_labels_of_saliency_maps(rule: str, scale: str) -> None:
    whole, cut = both_cams()
    settings = {"threshold_rule": rule, "cam_scale": scale, "cam_threshold": 0.6}
    assert_alike(
        left(CamLabels, Padded(), {"cams": whole}, **settings), left(CamLabels, Cut(), {"cams": cut}, **settings)
    )


def test_walked_labels() -> None:
    whole, cut = both_cams()
    boundary = torch.rand(5, 8, 8, generator=torch.Generator().manual_seed(0)).half() / 2
    rows = torch.tensor([30, 40, 50, 60, 70])
    irnet = {"rows": rows, "boundary": boundary}, {"rows": rows, "boundary": boundary[:, 4:]}
    settings = {"labels": "irnet", "walk_times": 2, "walk_background": 0.6}
    assert_alike(
        left(WalkLabels, Padded(), {"cams": whole, "irnet": irnet[0]}, **settings),
        left(WalkLabels, Cut(), {"cams": cut, "irnet": irnet[1]}, **settings),
    )


def test_seeds_are_in_the_picture_alone() -> None:
    whole, cut = both_cams()
    settings = {"seed_foreground": 0.6, "seed_background": 0.3}
    found, alone = left(Seeds, Padded(), {"cams": whole}, **settings), left(Seeds, Cut(), {"cams": cut}, **settings)
    assert torch.equal(found["seeds"][:, 4:], alone["seeds"])
    assert set(alone["seeds"].flatten().tolist()) == {-1, 0, 1}
    assert (found["seeds"][:, :4] == -1).all()


def test_the_crf_draws_no_seed_to_an_edge_in_the_padding() -> None:
    whole, _ = both_cams()
    settings = {"seed_foreground": 0.6, "seed_background": 0.3, "seed_cleaning": "crf"}
    found = {}
    for kind in (Padded, Unaware):
        for value in (0.0, 0.5):  # of the padding: another colour than the picture's, or the same
            images = kind()
            images.images[:], images.images[:, :, :16] = 0.5, value
            found[kind, value] = left(Seeds, images, {"cams": whole}, **settings)["seeds"]
    assert not torch.equal(found[Unaware, 0.0][:, 4:], found[Unaware, 0.5][:, 4:])
    assert torch.equal(found[Padded, 0.0], found[Padded, 0.5])


def test_cams_in_the_padding_are_the_nearest_of_the_picture() -> None:
    torch.manual_seed(0)
    classifier = Classifier(config(), TASK).build().state_dict()
    outcomes = {"classifier": {f"weights.{k}": v for k, v in classifier.items()}}
    told, plain = (left(Cams, images, outcomes)["maps"] for images in (Padded(), Unaware()))
    assert torch.equal(told[:, 2:], plain[:, 2:])
    assert torch.equal(told[:, :2], plain[:, 2:3].expand(-1, 2, -1))
    assert not torch.equal(told, plain)
