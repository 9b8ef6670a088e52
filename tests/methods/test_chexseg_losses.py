from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from methods.chexseg.classifier import classification_loss
from methods.chexseg.irnet.losses import PairSets, boundary_loss, displacement_losses, pair_sets
from methods.chexseg.irnet.pairs import Pairs, line_to, offsets_within
from methods.chexseg.losses import class_average_dice
from methods.layers import workers
from methods.layers.workers import of_all_workers


def drawn_dice(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(4, 3, 3, 5, generator=generator, dtype=torch.float64)
    targets = (torch.rand(4, 3, 3, 5, generator=generator) < 0.3).double()
    known = torch.rand(4, 3, generator=generator) < 0.7
    known[:, 2] = False
    return logits, targets, known


def test_dice_is_the_one_by_loops() -> None:
    logits, targets, known = drawn_dice()
    scores = []
    for k in range(3):
        overlap = size = 0.0
        for n in range(4):
            if known[n, k]:
                for y in range(3):
                    for x in range(5):
                        p, g = 1 / (1 + math.exp(-float(logits[n, k, y, x]))), float(targets[n, k, y, x])
                        overlap += p * g
                        size += p + g
        scores.append((2 * overlap + 1) / (size + 1))
    assert scores[2] == 1, "of this class nothing is known"
    assert float(class_average_dice(logits, targets, known)) == pytest.approx(1 - sum(scores) / 3)


def test_dice_passes_gradcheck_and_leaves_unknown_pairs_alone() -> None:
    logits, targets, known = drawn_dice()
    logits.requires_grad_()
    assert gradcheck(lambda x: class_average_dice(x, targets, known), (logits,))
    (gradient,) = torch.autograd.grad(class_average_dice(logits, targets, known), logits)
    assert not gradient[~known].any()
    assert gradient[known].abs().amin((1, 2)).gt(0).all()


def together(monkeypatch: pytest.MonkeyPatch, parts: Sequence[Callable[[], Tensor]]) -> list[Tensor]:
    """What each worker gets of its part, with sums over all of them: first every part alone, to know its terms."""
    told: list[list[Tensor]] = []

    def alone(values: Tensor, op: str) -> Tensor:
        told[-1].append(values.detach().clone())
        return told[-1][-1].clone()

    monkeypatch.setattr(workers, "all_reduce", alone)
    for part in parts:
        told.append([])
        part()
    found = []
    for part in parts:
        turn = iter(zip(*told, strict=True))
        monkeypatch.setattr(workers, "all_reduce", lambda values, op, turn=turn: torch.stack(next(turn)).sum(0))
        found.append(part())
    return found


def losses_of_images() -> dict[str, tuple[Tensor, Callable[[Tensor, slice], Tensor]]]:
    """By name what is trained, (N, ...), and the loss of some images of it."""
    logits, targets, known = drawn_dice()
    labels = torch.tensor([[1.0, 0, -1], [0, -1, -1], [1, 1, 0], [-1, -1, -1]], dtype=torch.float64)
    pairs, displacement, boundary, seeds, image = drawn_irnet()

    def irnet(values: Tensor, rows: slice) -> Tensor:
        count = len(range(4)[rows])
        mine = (image >= rows.start) & (image < rows.stop)
        sets = pair_sets(pairs, seeds[mine], image[mine] - rows.start, count)
        field, edge = values[:, :2], values[:, 2].sigmoid()
        parts = displacement_losses(pairs, field, sets, sign="released", reduction="mean")
        return sum(parts, boundary_loss(pairs, edge, sets))

    return {
        "dice": (logits, lambda values, rows: class_average_dice(values, targets[rows], known[rows])),
        "classification": (logits.sum((2, 3)), lambda values, rows: classification_loss(values, labels[rows])),
        "irnet": (torch.cat((displacement, boundary.logit()[:, None]), 1), irnet),
    }


@pytest.mark.parametrize("name", ["dice", "classification", "irnet"])
@pytest.mark.parametrize("cut", [1, 3])
def test_two_workers_have_the_loss_and_the_gradient_of_one(
    name: str, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, loss = losses_of_images()[name]
    whole = values.clone().requires_grad_()
    one = loss(whole, slice(0, 4))
    one.backward()
    both = values.clone().requires_grad_()
    slices = [slice(0, cut), slice(cut, 4)]
    shares = [cut / 4, 1 - cut / 4]
    parts = together(monkeypatch, [lambda rows=rows: loss(both[rows], rows) for rows in slices])
    for part, share in zip(parts, shares, strict=True):
        weighted = of_all_workers(part, share)
        assert weighted.item() == pytest.approx(one.item())
        (share * weighted).backward()
    torch.testing.assert_close(both.grad, whole.grad)


@pytest.mark.parametrize("radius", [2, 3, 5, 10])
def test_every_pair_comes_once(radius: int) -> None:
    offsets = offsets_within(radius)
    both = {*offsets, *((-y, -x) for y, x in offsets)}
    assert len(both) == 2 * len(offsets)
    around = range(-radius, radius + 1)
    assert both == {(y, x) for y in around for x in around if 0 < math.hypot(y, x) < radius}


def test_lines() -> None:
    assert line_to((0, 3)) == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert line_to((2, -2)) == [(0, -1), (0, 0), (1, -2), (1, -1), (1, 0), (2, -2), (2, -1)]
    assert (1, 3) not in line_to((3, 4)), "its distance is 1"
    assert line_to((2, 1)) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]


GRID = (5, 6)


def slow_pairs(radius: int) -> list[tuple[int, int, list[int]]]:
    """All pairs (i, j) of cells of the grid, and the cells between, by loops over cells."""
    height, width = GRID
    found = []
    for i in range(height * width):
        for j in range(i + 1, height * width):
            (y, x), (v, u) = divmod(i, width), divmod(j, width)
            if math.hypot(v - y, u - x) >= radius:
                continue
            between = [
                b * width + a
                for b in range(y, v + 1)
                for a in range(min(x, u), max(x, u) + 1)
                if ((v - y) * (a - x) - (u - x) * (b - y)) ** 2 / ((v - y) ** 2 + (u - x) ** 2) < 1
            ]
            found.append((i, j, between))
    return found


def drawn_irnet() -> tuple[Pairs, Tensor, Tensor, Tensor, Tensor]:
    """Pairs of radius 3; of 4 images displacements and boundaries, and seeds of 5 classes, none in the last image."""
    generator = torch.Generator().manual_seed(0)
    displacement = torch.randn(4, 2, *GRID, generator=generator, dtype=torch.float64)
    boundary = torch.rand(4, *GRID, generator=generator, dtype=torch.float64) * 0.9 + 0.05
    seeds = torch.randint(-1, 2, (5, *GRID), generator=generator).double()
    return Pairs(3), displacement, boundary, seeds, torch.tensor([0, 0, 1, 2, 2])


@pytest.mark.parametrize("sign", ["released", "paper"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_irnet_losses_are_those_by_loops(sign: Any, reduction: Any) -> None:
    pairs, displacement, boundary, seeds, image = drawn_irnet()
    sums = {name: [0.0, 0] for name in ("d_fg", "d_bg", "b_fg", "b_bg", "b_apart")}

    def add(name: str, value: float) -> None:
        sums[name][0] += value
        sums[name][1] += 1

    for m in range(5):
        field, edge, seed = displacement[image[m]].flatten(1), boundary[image[m]].flatten(), seeds[m].flatten()
        for i, j, between in slow_pairs(3):
            if seed[i] < 0 or seed[j] < 0:
                continue
            delta = field[:, i] - field[:, j] if sign == "released" else field[:, j] - field[:, i]
            far = torch.tensor([j // 6 - i // 6, j % 6 - i % 6])
            affinity = 1 - max(float(edge[k]) for k in between)
            if seed[i] != seed[j]:
                add("b_apart", -math.log(1 - affinity + 1e-5))
                continue
            scale = 2 if reduction == "mean" else 1
            kind = "fg" if seed[i] == 1 else "bg"
            target = far if kind == "fg" else 0 * far
            add(f"d_{kind}", float((target - delta).abs().sum()) / scale)
            add(f"b_{kind}", -math.log(affinity + 1e-5))
    mean = {name: total / count for name, (total, count) in sums.items()}

    sets = pair_sets(pairs, seeds, image, 4)
    assert int(sets.different.sum()) == sums["b_apart"][1]
    foreground, background = displacement_losses(pairs, displacement, sets, sign=sign, reduction=reduction)
    assert float(foreground) == pytest.approx(mean["d_fg"])
    assert float(background) == pytest.approx(mean["d_bg"])
    expected = mean["b_fg"] / 2 + mean["b_bg"] / 2 + mean["b_apart"]
    assert float(boundary_loss(pairs, boundary, sets)) == pytest.approx(expected)


def test_irnet_losses_pass_gradcheck() -> None:
    pairs, displacement, boundary, seeds, image = drawn_irnet()
    sets = pair_sets(pairs, seeds, image, 4)
    for sign in ("released", "paper"):
        assert gradcheck(
            lambda d, sign=sign: displacement_losses(pairs, d, sets, sign=sign, reduction="mean"),
            (displacement.requires_grad_(),),
        )
    assert gradcheck(lambda b: boundary_loss(pairs, b, sets), (boundary.requires_grad_(),))


def test_without_seeds_the_losses_are_zero() -> None:
    pairs, displacement, boundary, seeds, image = drawn_irnet()
    sets = pair_sets(pairs, torch.full_like(seeds, -1), image, 4)
    assert [float(x) for x in displacement_losses(pairs, displacement, sets, sign="paper", reduction="sum")] == [0, 0]
    assert float(boundary_loss(pairs, boundary, sets)) == 0
    assert isinstance(pair_sets(pairs, seeds[:0], image[:0], 4), PairSets)


def test_a_field_that_points_at_a_centre_is_right_with_the_released_sign() -> None:
    pairs = Pairs(4)
    y, x = torch.meshgrid(torch.arange(7.0), torch.arange(8.0), indexing="ij")
    towards = torch.stack((3 - y, 4 - x))[None]
    sets = pair_sets(pairs, torch.ones(1, 7, 8), torch.zeros(1, dtype=torch.long), 1)
    losses = {
        sign: float(displacement_losses(pairs, field, sets, sign=sign, reduction="mean")[0])  # type: ignore[arg-type]
        for sign, field in (("released", towards), ("paper", -towards))
    }
    assert losses == {"released": 0, "paper": 0}
    assert float(displacement_losses(pairs, towards, sets, sign="paper", reduction="mean")[0]) > 1
