from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from chexseg_images import ROWS, TASK, Images, config, enlarged, seeded, weak_maps
from torch import Tensor, nn
from torch.nn import functional as F

from methods.chexseg.irnet import IrNet, Seeds
from methods.chexseg.irnet import seeds as irnet_seeds
from methods.chexseg.irnet._work import decay
from methods.chexseg.irnet.seeds import cleaned, seeds
from methods.layers.crf import CrfSettings
from raysearch.method import Batch, Step, Task


def irnet(**settings: Any) -> tuple[IrNet, nn.Module]:
    work = IrNet(config(labels="irnet", irnet_weights="random", **settings), TASK)
    work.outcomes = {"seeds": seeded()}
    torch.manual_seed(0)
    return work, work.build()


def step_of(work: IrNet, model: nn.Module, rows: list[int]) -> dict[str, Tensor]:
    images = Images()
    place = np.searchsorted(ROWS, rows)
    labels = torch.from_numpy(images.pool.labels[place]).float()
    batch = Batch(images=images.images[place], labels=labels, index=torch.tensor(rows))
    backward = torch.autograd.backward
    return work.training_step(
        model.train(), batch, Step(epoch=0, stage="irnet", generator=torch.Generator(), backward=backward)
    )


def test_irnet_leaves_its_backbone_as_it_is() -> None:
    work, model = irnet()
    before = copy.deepcopy(model.state_dict())
    optimizer = work.stages(2)[0].optimizer(model)
    step_of(work, model, [60, 30, 70])
    optimizer.step()
    after = model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert not any(name.startswith("stages.") for name in changed)
    assert {name.partition(".")[0] for name in changed} == {"edges", "edge", "fields", "deep", "field"}


def test_the_released_total_is_half() -> None:
    losses = {}
    for total in ("paper", "released"):
        work, model = irnet(irnet_total=total)
        losses[total] = step_of(work, model, [60, 30])
    parts = sum(float(losses["paper"][f"loss_{name}"]) for name in ("foreground", "background", "boundary"))
    assert float(losses["paper"]["loss"]) == pytest.approx(parts)
    assert float(losses["released"]["loss"]) == pytest.approx(parts / 2)


def test_a_batch_finds_its_own_seeds() -> None:
    work, _ = irnet()
    outcome = seeded()
    batch = Batch(images=torch.zeros(2, 1, 32, 32), labels=torch.zeros(2, 3), index=torch.tensor([70, 40]))
    found, image = work.seeds_of(batch)
    rows = outcome["rows"][outcome["image"]]
    assert sorted(image.tolist()) == [0, 0, 1, 1]
    assert torch.equal(found[image == 0], outcome["seeds"][rows == 70].float())
    assert torch.equal(found[image == 1], outcome["seeds"][rows == 40].float())


def test_displacements_may_have_a_rate_of_their_own() -> None:
    work, model = irnet(irnet_displacement_rate=10.0)
    (stage,) = work.stages(4)
    optimizer = stage.optimizer(model)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.1, 1.0])
    assert stage.schedule is not None
    schedule = stage.schedule(optimizer)
    optimizer.step()
    schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.1 * 0.75**0.9, 0.75**0.9])
    assert decay(4, 0.9, 4) == 0


def test_the_released_rate_does_not_fall() -> None:
    work, model = irnet(irnet_decay=0.0)
    (stage,) = work.stages(4)
    optimizer = stage.optimizer(model)
    assert stage.schedule is not None
    schedule = stage.schedule(optimizer)
    for _ in range(4):
        optimizer.step()
        schedule.step()
        assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.1]


def test_seeds() -> None:
    maps = torch.tensor([[[0.0, 0.05, 0.04], [0.3, 0.31, 1.0]]])
    assert seeds(maps, foreground=0.3, background=0.05).tolist() == [[[0, -1, 0], [-1, 1, 1]]]


def test_seeds_lie_on_irnets_cells() -> None:
    found, (maps, image, _) = seeded(), weak_maps()
    assert found["rows"].tolist() == [30, 40, 50, 60, 70]
    assert torch.equal(found["image"], image)
    assert found["seeds"].dtype == torch.int8
    for seed, map_ in zip(found["seeds"], maps, strict=True):
        unit = F.interpolate((map_ / map_.max())[None, None], size=(8, 8), mode="bilinear")[0]
        assert torch.equal(seed.float()[None], seeds(unit, foreground=0.3, background=0.05))


def test_seeds_fit_irnet_at_any_size() -> None:
    task = Task(classes=TASK.classes, view="multi", channels=1, size=(37, 45))
    model = IrNet(config(labels="irnet", irnet_weights="random"), task).build()
    _, logits = model(torch.rand(2, 1, 37, 45))
    assert Seeds(config(), task).grid == logits.shape[1:]


def slow_labels(mask: Tensor, image: Tensor, scale: float) -> Tensor:
    """Of the mask (H, W) and an image (1, H, W) the label that ten rounds of mean field find likelier, by the whole
    kernel matrices and two label planes; the image has three equal channels of 0 to 255 as in the released code, whose
    widths in pixels are times `scale`."""
    height, width = mask.shape
    place = torch.cartesian_prod(torch.arange(height), torch.arange(width)).double() / scale
    colour = (image * 255).expand(3, height, width).flatten(1).T.double()
    near, alike = torch.cdist(place, place) ** 2, torch.cdist(colour, colour) ** 2
    kernels = []
    for weight, exponent in ((3.0, near / (2 * 3**2)), (10.0, near / (2 * 50**2) + alike / (2 * 5**2))):
        kernel = torch.exp(-exponent)
        root = kernel.sum(1).rsqrt()
        kernels.append(weight * root[:, None] * kernel * root[None, :])
    agreeing = torch.where(mask.flatten(), 0.7, 0.3).double()
    energy = -torch.stack((1 - agreeing, agreeing)).log()
    marginal = (-energy).softmax(0)
    for _ in range(10):
        marginal = (-energy + sum(marginal @ kernel for kernel in kernels)).softmax(0)
    return marginal.argmax(0).view(height, width).bool()


def patches(count: int, *size: int) -> Tensor:
    """Images (count, 1, H, W) of patches of about five pixels, each of its own grey."""
    generator = torch.Generator().manual_seed(0)
    grey = torch.rand(count, 1, size[0] // 5 + 1, size[1] // 5 + 1, generator=generator)
    return F.interpolate(grey, size=size) * 0.9 + 0.005 * torch.rand(count, 1, *size, generator=generator)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_crf_cleans_seeds_as_the_released_code_does(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(irnet_seeds, "SIDE", 40)  # half the released widths: both kernels matter on so few pixels
    pictures = patches(2, 24, 20)
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(20.0), indexing="ij")
    bump = torch.exp(-((y - 10) ** 2 + (x - 9) ** 2) / (2 * 6**2))
    rough = seeds(torch.stack((bump, 0.9 * bump)), foreground=0.5, background=0.2)
    found = cleaned(rough, pictures.expand(2, channels, 24, 20))
    for seed, own, picture in zip(found, rough, pictures, strict=True):
        foreground, near = slow_labels(own == 1, picture, 0.5), slow_labels(own != 0, picture, 0.5)
        expected = torch.where(foreground, 1.0, torch.where(near, -1.0, 0.0))
        assert set(expected.flatten().tolist()) == {-1, 0, 1}
        assert (seed != expected).float().mean() < 0.01, "single against double precision"
        assert (seed != own).float().mean() > 0.1, "there is something to clean"


def test_the_crfs_widths_grow_with_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[CrfSettings] = []

    def dense_crf(foreground: Tensor, images: Tensor, settings: CrfSettings, inside: None) -> Tensor:
        asked.append(settings)
        return foreground

    monkeypatch.setattr(irnet_seeds, "dense_crf", dense_crf)
    for side in (320, 160):
        cleaned(torch.zeros(1, side, side + 8), torch.zeros(1, 3, side, side + 8))
    whole, half = asked[0], asked[-1]
    assert (whole.theta_alpha, whole.theta_gamma, whole.theta_beta, whole.iterations) == (50, 3, 5, 10)
    assert (half.theta_alpha, half.theta_gamma, half.theta_beta) == (25, 1.5, 5)


def test_cleaned_seeds_are_of_the_middle_of_their_cells() -> None:
    images = Images()
    images.images = patches(8, 32, 32)
    found = seeded(images=images, seed_cleaning="crf")
    assert not torch.equal(found["seeds"], seeded()["seeds"])
    finest = []
    for seed, map_, image in zip(found["seeds"], *weak_maps()[:2], strict=True):
        whole = seeds(enlarged((map_ / map_.max())[None]), foreground=0.3, background=0.05)
        finest.append(cleaned(whole, images.images[image + 2][None])[0])
        assert torch.equal(seed.float(), finest[-1][2::4, 2::4])
    assert any(not torch.equal(fine[2::4, 2::4], fine[::4, ::4]) for fine in finest)
