"""Anchors, boxes, RoIAlign, the draw, crops, losses and schedules, against slow and obvious ones."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import clip_boxes_to_image, roi_align

from methods.layers.keyed import keyed_uniforms
from methods.layers.roi import grid_roi_align
from methods.saliency_proposals.anchors import Anchors, decode
from methods.saliency_proposals.crop import bilinear_crop, gaussian_crop
from methods.saliency_proposals.gumbel import gumbel_noise, straight_through
from methods.saliency_proposals.losses import balanced_loss, positive_shares
from methods.saliency_proposals.schedule import Annealing, Schedule, stage_epochs, temperature
from raysearch.errors import MethodError

PAPER = Anchors(side=0.125, levels=3, stride=0.5)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def slow_anchors(side: int, sizes: list[int], strides: list[int]) -> list[tuple[float, ...]]:
    """The method specification, 1.4: at every multiple of the stride, the border included."""
    found = []
    for square, stride in zip(sizes, strides, strict=True):
        for i in range(side // stride + 1):
            for j in range(side // stride + 1):
                y, x = i * stride, j * stride
                box = (x - square / 2, y - square / 2, x + square / 2, y + square / 2)
                found.append(tuple(min(max(end, 0.0), float(side)) for end in box))
    return found


def test_the_papers_anchors_are_395() -> None:
    boxes = PAPER.boxes((512, 512))
    assert len(boxes) == 395
    assert [tuple(box) for box in boxes.tolist()] == slow_anchors(512, [64, 128, 256], [32, 64, 128])


@pytest.mark.parametrize("side", [64, 96, 224, 320, 1024])
def test_anchors_scale_with_the_image(side: int) -> None:
    boxes = PAPER.boxes((side, side))
    torch.testing.assert_close(boxes, PAPER.boxes((512, 512)) * side / 512)


def test_anchors_of_an_oblong_image_are_squares_of_its_shorter_side() -> None:
    boxes = Anchors(side=0.25, levels=1, stride=0.5).boxes((32, 64))
    assert len(boxes) == 9 * 17
    inside = (boxes[:, 0] > 0) & (boxes[:, 1] > 0) & (boxes[:, 2] < 64) & (boxes[:, 3] < 32)
    assert torch.equal((boxes[:, 2:] - boxes[:, :2])[inside], torch.full((int(inside.sum()), 2), 8.0))


def test_anchors_are_made_once_and_those_of_a_prediction_serve_a_step_too() -> None:
    anchors = Anchors(side=0.2, levels=2, stride=0.5)
    with torch.inference_mode():
        boxes, spans = anchors.boxes((40, 56)), anchors.spans((40, 56))
    assert anchors.boxes((40, 56)) is boxes
    assert anchors.spans((40, 56)) is spans
    assert anchors.boxes((56, 40)) is not boxes
    assert not any(each.is_inference() for each in (boxes, *spans[0])), "autograd would refuse to keep these"


def test_decoding_is_that_of_the_detectors() -> None:
    size = (64, 96)
    squares = PAPER.boxes(size)
    deltas = torch.randn(2, 3, len(squares), 4, generator=generator()) * 2
    expected = BoxCoder(weights=(1.0, 1.0, 1.0, 1.0)).decode_single(deltas.reshape(-1, 4), squares.repeat(6, 1))
    found = decode(squares, deltas, size)
    torch.testing.assert_close(found.reshape(-1, 4), clip_boxes_to_image(expected, size))
    torch.testing.assert_close(decode(squares, torch.zeros_like(deltas), size)[1, 2], squares)


@pytest.mark.parametrize(("size", "cells"), [((64, 64), (16, 16)), ((37, 45), (10, 12)), ((512, 512), (128, 128))])
@pytest.mark.parametrize(("points", "sampling"), [(5, 2), (3, 1)])
def test_roi_align_is_torchvisions(size: tuple[int, int], cells: tuple[int, int], points: int, sampling: int) -> None:
    maps = torch.rand(2, 3, *cells, generator=generator(), dtype=torch.float64)
    scale = torch.tensor([cells[1] / size[1], cells[0] / size[0]] * 2)
    boxes = (PAPER.boxes(size) * scale).double()
    expected = roi_align(maps, [boxes] * 2, (points, points), sampling_ratio=sampling)
    found = [
        grid_roi_align(maps, rows * scale[1], columns * scale[0], points, sampling).flatten(1, 2)
        for rows, columns in PAPER.spans(size)
    ]
    torch.testing.assert_close(torch.cat(found, 1).flatten(0, 1), expected, rtol=0, atol=1e-5)


def test_roi_align_beyond_the_map_is_torchvisions() -> None:
    maps = torch.rand(1, 2, 6, 7, generator=generator(), dtype=torch.float64)
    rows, columns = torch.tensor([[-3.0, 2.5], [4.0, 9.0]]), torch.tensor([[5.5, 5.7], [-0.5, 8.0]])
    boxes = torch.tensor([[x[0], y[0], x[1], y[1]] for y in rows for x in columns]).double()
    expected = roi_align(maps, [boxes], (3, 3), sampling_ratio=2)
    found = grid_roi_align(maps, rows, columns, 3, 2).flatten(0, 2)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_roi_align_has_a_gradient() -> None:
    maps = torch.rand(1, 2, 4, 5, generator=generator(), dtype=torch.float64, requires_grad=True)
    rows, columns = torch.tensor([[0.0, 3.0], [1.0, 4.0]]), torch.tensor([[0.5, 4.5]])
    assert torch.autograd.gradcheck(lambda m: grid_roi_align(m, rows, columns, 2, 2), (maps,))


def test_the_draw_is_one_hot_and_has_the_gradient_of_the_softmax() -> None:
    logits = torch.randn(3, 2, 7, generator=generator(), dtype=torch.float64, requires_grad=True)
    weights = torch.randn(3, 2, 7, generator=generator(1), dtype=torch.float64)
    drawn = straight_through(logits, 0.3)
    assert torch.equal(drawn, torch.nn.functional.one_hot(logits.argmax(-1), 7).double())
    (found,) = torch.autograd.grad((drawn * weights).sum(), logits)
    (expected,) = torch.autograd.grad(((logits / 0.3).softmax(-1) * weights).sum(), logits)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("tau", [1e-3, 1.0, 100.0])
def test_the_draw_stays_finite_at_any_temperature(tau: float) -> None:
    logits = (50 * torch.randn(4, 9, generator=generator())).requires_grad_(True)
    straight_through(logits, tau).square().sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_noise_belongs_to_the_image_whatever_batch_it_comes_in() -> None:
    index = torch.tensor([5, 900, 0, 17])
    together = gumbel_noise(generator(3), index, (2, 6))
    apart = torch.cat([gumbel_noise(generator(3), part, (2, 6)) for part in index.flip(0).split(1)]).flip(0)
    assert torch.equal(together, apart)
    assert not torch.equal(together, gumbel_noise(generator(4), index, (2, 6)))


def test_noise_is_gumbels() -> None:
    uniform = keyed_uniforms(generator(), torch.arange(200), 500)
    assert 0 < float(uniform.min()) < float(uniform.max()) < 1
    torch.testing.assert_close(uniform.mean(), torch.tensor(0.5).double(), rtol=0, atol=5e-3)
    torch.testing.assert_close(uniform.var(), torch.tensor(1 / 12).double(), rtol=0, atol=2e-3)
    correlation = torch.corrcoef(torch.stack((uniform[:, :-1].flatten(), uniform[:, 1:].flatten())))[0, 1]
    assert abs(float(correlation)) < 0.02
    noise = gumbel_noise(generator(), torch.arange(200), (10, 50))
    torch.testing.assert_close(noise.mean(), torch.tensor(0.5772), rtol=0, atol=0.02)
    torch.testing.assert_close(noise.std(), torch.tensor(math.pi / math.sqrt(6)), rtol=0, atol=0.03)


def test_draws_follow_the_softmax_of_the_confidences() -> None:
    confidences = torch.tensor([1.0, 0.0, -1.0])
    noise = gumbel_noise(generator(), torch.arange(20000), (1, 3))
    share = straight_through(confidences + noise, 0.5).mean((0, 1))
    torch.testing.assert_close(share, confidences.softmax(0), rtol=0, atol=0.015)


BOXES = torch.tensor([[[1.3, 2.1, 5.2, 6.4], [0.7, 0.9, 7.1, 7.3]]], dtype=torch.float64)


@pytest.mark.parametrize("crop", [bilinear_crop, gaussian_crop])
def test_crops_let_a_gradient_reach_their_box_and_the_image(crop: object) -> None:
    images = torch.rand(1, 2, 8, 9, generator=generator(), dtype=torch.float64, requires_grad=True)
    boxes = BOXES.clone().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x, b: crop(x, b, 3), (images, boxes), atol=1e-5)  # type: ignore[operator]


def slow_crop(image: Tensor, box: list[float], side: int) -> Tensor:
    """Bilinear between the centres of pixels, at the centres of side x side parts of a box."""
    channels, height, width = image.shape
    out = torch.zeros(channels, side, side, dtype=image.dtype)
    for i in range(side):
        for j in range(side):
            y = box[1] + (i + 0.5) / side * (box[3] - box[1]) - 0.5
            x = box[0] + (j + 0.5) / side * (box[2] - box[0]) - 0.5
            for row in range(height):
                for column in range(width):
                    weight = max(0.0, 1 - abs(y - row)) * max(0.0, 1 - abs(x - column))
                    out[:, i, j] += weight * image[:, row, column]
    return out


def test_a_crop_is_the_image_between_pixels() -> None:
    images = torch.rand(1, 2, 8, 9, generator=generator(), dtype=torch.float64)
    found = bilinear_crop(images, BOXES, 4)
    for k in range(2):
        torch.testing.assert_close(found[0, k], slow_crop(images[0], BOXES[0, k].tolist(), 4))
    whole = torch.tensor([[[0.0, 0.0, 9.0, 8.0]]], dtype=torch.float64)
    torch.testing.assert_close(bilinear_crop(images[..., :8], whole.clamp(max=8), 8)[0, 0], images[0, :, :, :8])


def test_a_glimpse_of_a_ramp_is_the_ramp() -> None:
    # far from the border a symmetric mean of a linear image is its value at the centre
    ramp = (torch.arange(64).double() + 0.5).expand(1, 1, 64, 64)
    box = torch.tensor([[[16.0, 20.0, 48.0, 40.0]]], dtype=torch.float64)
    found = gaussian_crop(ramp, box, 8)[0, 0, 0]
    torch.testing.assert_close(found[0], 16 + (torch.arange(8).double() + 0.5) * 4, rtol=0, atol=1e-4)
    torch.testing.assert_close(found, found[:1].expand(8, 8))


def test_balanced_loss_is_equation_1() -> None:
    logits = torch.randn(5, 3, generator=generator(), dtype=torch.float64)
    labels = torch.tensor([[1, 0, -1], [0, 0, 1], [1, 1, 0], [-1, 0, 0], [0, 1, 1]]).float()
    shares = torch.tensor([0.1, 0.5, 0.7], dtype=torch.float64)
    total = 0.0
    for row, marks in zip(logits.tolist(), labels.tolist(), strict=True):
        for logit, mark, p in zip(row, marks, shares.tolist(), strict=True):
            s = 1 / (1 + math.exp(-logit))
            if mark >= 0:
                total -= (1 - p) * mark * math.log(s) + p * (1 - mark) * math.log(1 - s)
    assert float(balanced_loss(logits, labels, shares)) == pytest.approx(total / 15)


def test_balanced_loss_has_a_gradient_and_stays_finite() -> None:
    logits = torch.randn(4, 3, generator=generator(), dtype=torch.float64, requires_grad=True)
    labels, shares = torch.tensor([[1.0, 0.0, -1.0]]).expand(4, 3), torch.tensor([0.2, 0.3, 0.4]).double()
    assert torch.autograd.gradcheck(lambda x: balanced_loss(x, labels, shares), (logits,))
    far = torch.tensor([[1e4, -1e4, 1e4]], requires_grad=True)
    loss = balanced_loss(far, torch.tensor([[0.0, 1.0, 1.0]]), torch.tensor([0.5, 0.5, 0.5]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(far.grad).all()


def test_shares_of_positives() -> None:
    assert positive_shares((0.25, 1.0, 3.0), "images") == pytest.approx((0.2, 0.5, 0.75))
    # 1.45 labels an image, and a tenth (0.8 0.5 0.25) of the images without any
    assert positive_shares((0.25, 1.0, 3.0), "occurrences") == pytest.approx([p / 1.55 for p in (0.2, 0.5, 0.75)])
    assert positive_shares((0.0, math.inf, 1.0), "images") == pytest.approx((0.0, 1.0, 0.5))
    assert positive_shares((0.0, math.inf, 1.0), "occurrences") == pytest.approx((0.0, 2 / 3, 1 / 3))


def test_a_class_that_all_or_no_images_have_weighs_nothing() -> None:
    logits = torch.randn(4, 2, generator=generator(), requires_grad=True)
    shares = torch.tensor(positive_shares((0.0, math.inf), "images"))
    loss = balanced_loss(logits, torch.tensor([[0.0, 1.0]]).expand(4, 2), shares)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros(4, 2))


@given(st.integers(3, 60), st.floats(0.01, 0.99), st.floats(0.0, 0.99))
@settings(max_examples=100)
def test_stages_share_the_epochs(epochs: int, detection: float, joint: float) -> None:
    share = joint * (1 - detection)
    first, second, third = stage_epochs(epochs, detection, share)
    assert first + second + third == epochs
    assert min(first, second) >= 1
    assert (third >= 1) == (share > 0)


@pytest.mark.parametrize(
    ("epochs", "joint", "message"),
    [
        (1, 0.25, "epochs is 1: expected 3 or more, one for each of the stages classification, detection and joint;"),
        (2, 0.25, "pass --epochs 3, or 2 with --fix joint_share=0, which leaves joint out$"),
        (1, 0.0, "expected 2 or more, one for each of the stages classification and detection; pass --epochs 2$"),
    ],
)
def test_no_stage_is_skipped_for_want_of_epochs(epochs: int, joint: float, message: str) -> None:
    with pytest.raises(MethodError, match=message):
        stage_epochs(epochs, 0.25, joint)


@pytest.mark.parametrize("schedule", ["exponential", "linear", "cosine", "constant"])
def test_temperatures_go_from_start_to_end(schedule: Schedule) -> None:
    values = [temperature(schedule, 2.0, 0.01, i / 10) for i in range(11)]
    assert values[0] == pytest.approx(2.0)
    assert values[-1] == pytest.approx(2.0 if schedule == "constant" else 0.01)
    assert all(b <= a for a, b in pairwise(values))
    if schedule == "exponential":
        assert [b / a for a, b in pairwise(values)] == pytest.approx([0.005**0.1] * 10)


def test_annealing_spans_its_epochs_and_then_stays() -> None:
    span = Annealing(first=6, epochs=4)
    assert [span.progress(epoch) for epoch in (0, 6, 7, 9, 20)] == pytest.approx([0, 0, 1 / 3, 1, 1])
    assert Annealing(first=2, epochs=1).progress(2) == 0
