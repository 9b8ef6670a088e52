"""What is computed of a picture in padding is what is computed of the picture alone, whatever lies in the padding."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from test_chexseg_contract import SMALL as CHEXSEG
from test_saliency_contract import SMALL as SALIENCY
from torch import Tensor

from methods._patches import AnnotatedPairs
from methods.cam import CamAvg, GradCam
from methods.chexseg import CheXseg
from methods.chexseg.irnet.walk import walk
from methods.chexseg.losses import class_average_dice
from methods.chexseg.thresholds import counts_by_level, otsu_levels, otsu_masks
from methods.deep_mil import DeepMil
from methods.layers.crf import CrfSettings, dense_crf
from methods.layers.inside import continued, in_both, own_cells, own_highest, own_mean, rectangles
from methods.layers.maps import min_max, min_max_batch, resized
from methods.layers.pac import binary_mean_field, softmax_mean_field
from methods.li_base import LiBase, LiBaseConfig
from methods.li_base.losses import annotated_loss, unannotated_loss
from methods.limited_annotation import LimitedAnnotation, LimitedAnnotationConfig
from methods.minmax_entropy import MinMaxEntropy
from methods.minmax_entropy.mask import full_resolution, mask
from methods.multimix import MultiMix, MultiMixUNet, Umtl
from methods.multimix.losses import bernoulli_divergence, channel_divergence, dice_loss
from methods.saliency_proposals import SaliencyProposals
from methods.saliency_proposals.inference import percentiles, scaled
from methods.unet import UNet
from methods.unet._method import pixel_loss
from raysearch.method import Batch, Method, Step, Task
from raysearch.testing import synthetic_batch, synthetic_task
from raysearch.testing._synthetic import padded

ROWS, COLUMNS = slice(2, 7), slice(0, 8)
OWN = (Ellipsis, ROWS, COLUMNS)
"""The picture, 5 x 8, on a canvas of 9 x 8."""


def inside(count: int) -> Tensor:
    found = torch.zeros(count, 9, 8, dtype=torch.bool)
    found[OWN] = True
    return found


def canvas(*shape: int, seed: int = 0, padding: float = 3.0) -> Tensor:
    """Uniform numbers (*shape, 9, 8), in the padding up to `padding` to either side."""
    generator = torch.Generator().manual_seed(seed)
    found = padding * (2 * torch.rand(*shape, 9, 8, generator=generator) - 1)
    found[OWN] = torch.rand(*shape, 5, 8, generator=generator)
    return found


def masks(*shape: int, seed: int = 1) -> Tensor:
    """In {0, 1}, of ones in the padding."""
    return torch.where(inside(1)[0], (canvas(*shape, seed=seed) > 0.6).float(), 1.0)


def test_maps_are_scaled_and_ranked_by_the_pictures_own_values() -> None:
    maps = canvas(3, 2)
    for function in (percentiles, scaled):
        assert torch.equal(function(maps, inside(3))[OWN], function(maps[OWN]))
        assert function(maps, inside(3)).aminmax() == (0, 1)
    for function in (min_max, min_max_batch):
        assert torch.equal(function(maps, fill=0.3, inside=inside(3))[OWN], function(maps[OWN], fill=0.3))
        assert function(maps, fill=0.3, inside=inside(3)).aminmax() == (0, 1)
    fine = full_resolution(maps[:, :1], (9, 8), normalization="sample", sigma_prime=0.5, inside=inside(3))
    assert fine[OWN].aminmax() == (0, 1)
    maps[OWN] = 0.1
    assert (min_max(maps, fill=0.3, inside=inside(3)) == 0.3).all(), "padding does not make a constant map another one"
    assert not percentiles(maps, inside(3)).any()


def test_a_picture_without_a_pixel_has_finite_maps_and_no_loss() -> None:
    maps, nothing = canvas(2, 1), inside(2)
    nothing[0] = False
    for found in (min_max(maps, fill=0.3, inside=nothing), percentiles(maps, nothing)):
        assert bool(torch.isfinite(found).all())
        assert 0 <= float(found.min()) <= float(found.max()) <= 1
    assert float(own_mean(maps, nothing)[0]) == float(own_highest(maps, nothing)[0]) == 0
    assert [found is None for found in rectangles(nothing)] == [True, False]
    crf = dense_crf(maps.sigmoid(), torch.rand(2, 1, 9, 8), CRF, nothing)
    assert torch.equal(crf[0], maps.sigmoid()[0])


CRF = CrfSettings(
    iterations=3, theta_alpha=4.0, theta_beta=60.0, theta_gamma=2.0, weight_bilateral=1.0, weight_gaussian=1.0
)


def test_padding_is_no_neighbour_in_the_crf() -> None:
    foreground, images = canvas(2, 1).abs().clamp(max=1), canvas(2, 3, seed=1)
    found = dense_crf(foreground, images, CRF, inside(2))
    assert torch.equal(found[OWN], dense_crf(foreground[OWN], images[OWN], CRF))
    assert torch.equal(found[..., :2, :], foreground[..., :2, :])
    shape = inside(2)
    shape[1, 3, 3] = False
    with pytest.raises(ValueError, match="39 pixels of a picture within rows 2 to 7"):
        dense_crf(foreground, images, CRF, shape)


def test_losses_over_pixels_are_the_pictures_own() -> None:
    logits, other, target = canvas(3, 2), canvas(3, 2, seed=5), masks(3, 2)
    known = torch.tensor([[True, True], [True, False], [False, True]])
    own = (logits[OWN], target[OWN])
    torch.testing.assert_close(class_average_dice(logits, target, known, inside(3)), class_average_dice(*own, known))
    torch.testing.assert_close(dice_loss(logits, target, inside(3)), dice_loss(*own))
    one = (logits[:, :1], target[:, :1])
    torch.testing.assert_close(pixel_loss(*one, inside(3)), pixel_loss(*(part[OWN] for part in one)))
    for divergence in (bernoulli_divergence, channel_divergence):
        torch.testing.assert_close(divergence(logits, other, inside(3)), divergence(logits[OWN], other[OWN]))
    logits[:, :, 0] = torch.inf
    assert bool(torch.isfinite(own_mean(logits, inside(3))).all())


def test_pixels_that_two_pictures_have_in_common() -> None:
    one, other = inside(3), inside(2)
    other[:, 6] = False
    both = in_both(one, other, 2)
    assert both is not None
    assert both.sum((1, 2)).tolist() == [32, 32]
    assert in_both(None, None, 2) is None
    alone = in_both(None, other, 1)
    assert alone is not None
    assert torch.equal(alone, other[:1])


def test_thresholds_of_saliency_maps_are_of_the_pictures_own_pixels() -> None:
    maps, regions, label = canvas(4).abs().clamp(max=1), masks(4), torch.tensor([0, 1, 1, 0])
    counts = counts_by_level(maps, regions, label, 2, inside(4))
    assert torch.equal(counts, counts_by_level(maps[OWN], regions[OWN], label, 2))
    level = (255 * maps).to(torch.uint8)
    assert torch.equal(otsu_levels(level, inside(4)), otsu_levels(level[OWN]))
    found = otsu_masks(maps, inside(4))
    assert torch.equal(found[OWN], otsu_masks(maps[OWN]))
    assert int(found.sum()) == int(found[OWN].sum()), "nothing in the padding"


def test_own_cells_hold_some_of_the_picture() -> None:
    found = own_cells(inside(1), (3, 4))
    assert found is not None
    assert found[0].tolist() == [[True] * 4] * 3
    found = own_cells(inside(1), (9, 2))
    assert found is not None
    assert found[0, :, 0].tolist() == [2 <= row < 7 for row in range(9)]
    assert own_cells(None, (3, 4)) is None


def test_what_continues_into_the_padding_is_enlarged_as_the_picture_alone() -> None:
    maps = canvas(2)
    found = resized(continued(maps, inside(2))[:, None], (36, 32))[:, :, 8:28]
    torch.testing.assert_close(found, resized(maps[OWN][:, None], (20, 32)))
    assert continued(maps, None) is maps
    corner = torch.zeros(2, 9, 8, dtype=torch.bool)
    corner[:, 4, 5] = True
    assert (continued(maps, corner) == maps[:, 4, 5][:, None, None]).all()


def test_no_walk_enters_the_padding() -> None:
    maps, boundary, image = canvas(3), canvas(2, seed=1).abs().clamp(max=1), torch.tensor([0, 1, 1])
    boundary = boundary.masked_fill(~inside(2), 1.0)
    found = walk(maps, boundary, image, radius=3, beta=2.0, steps=8)
    torch.testing.assert_close(found[OWN], walk(maps[OWN], boundary[OWN], image, radius=3, beta=2.0, steps=8))
    assert not found[:, :2].any()


def test_no_patch_of_the_padding_sends_a_message() -> None:
    generator = torch.Generator().manual_seed(0)
    unary, features, one = canvas(2, 3), canvas(2, 4, seed=1), torch.tensor(1.0)
    binary = torch.rand(3, 2, 2, 5, 5, generator=generator)
    found = binary_mean_field(unary, features, binary, one, 3, inside(2))
    torch.testing.assert_close(found[OWN], binary_mean_field(unary[OWN], features[OWN], binary, one, 3))
    assert not torch.allclose(found[OWN], binary_mean_field(unary, features, binary, one, 3)[OWN])
    softmax = torch.rand(3, 3, 5, 5, generator=generator)
    found = softmax_mean_field(unary, features, softmax, one, 3, inside(2))
    torch.testing.assert_close(found[OWN], softmax_mean_field(unary[OWN], features[OWN], softmax, one, 3))


PAIRS = torch.tensor([0, 2]), torch.tensor([1, 0])
CELLS = masks(2, seed=4) > 0
LABELS = torch.tensor([[1, 1], [0, -1], [1, 0]])


@pytest.mark.parametrize("relaxation", ["relu", "sigmoid"])
def test_losses_over_patches_are_the_pictures_own(relaxation: str) -> None:
    config = LimitedAnnotationConfig(relaxation=relaxation, gamma=0.5, tau=0.9, rho=0.01, rho_hat=0.02, tau_hat=0.6)
    method = LimitedAnnotation(config, Task(classes=("a", "b"), view="multi", channels=1, size=(9, 8)))
    z = canvas(3, 2)
    image, label = PAIRS
    whole = AnnotatedPairs(image=image, label=label, cells=CELLS & inside(2), own=inside(3))
    alone = AnnotatedPairs(image=image, label=label, cells=CELLS[OWN])
    for found, expected in zip(method.loss(z, whole, LABELS), method.loss(z[OWN], alone, LABELS), strict=True):
        torch.testing.assert_close(found, expected)


def _patches(method: type[LimitedAnnotation] | type[LiBase]) -> tuple[LimitedAnnotation | LiBase, Batch]:
    """On a grid of 4 x 4; pictures are the lower three rows of it and some of the first."""
    settings: dict[str, Any] = {"backbone": "resnetv2_10_slim", "weights": "random", "patches": 4, "hidden": 8}
    config = LiBaseConfig if method is LiBase else LimitedAnnotationConfig
    if method is LimitedAnnotation:
        settings |= {"tau_hat": 1.0, "crf_strength": 1.0}  # all patches and all messages matter
    made = method(config(**settings), Task(classes=("a", "b"), view="multi", channels=1, size=(32, 32)))  # type: ignore[arg-type]
    own = torch.zeros(2, 32, 32, dtype=torch.bool)
    own[0, 7:], own[1, 8:] = True, True
    regions = torch.zeros(1, 32, 32)
    regions[0, 6:20, :10] = 1
    truth = torch.tensor([[-1, 1], [-1, -1]], dtype=torch.int8)
    images = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    return made, Batch(
        images=images, labels=torch.ones(2, 2), index=torch.arange(2), masks=regions, truth=truth, inside=own
    )


@pytest.mark.parametrize("method", [LimitedAnnotation, LiBase])
def test_patches_of_the_padding_are_no_region_and_make_no_score(
    method: type[LimitedAnnotation] | type[LiBase],
) -> None:
    made, batch = _patches(method)
    pairs = made.regions(batch)
    assert pairs.own is not None
    assert pairs.own[0].all(), "a patch with one row of the picture is the picture's"
    assert pairs.own[1].all(1).tolist() == [False, True, True, True]
    assert pairs.cells[0, :, 0].tolist() == [True, True, True, False]
    torch.manual_seed(0)
    model = made.build().eval()
    head = model.get_submodule("unary" if method is LimitedAnnotation else "").get_submodule("head")

    def loud(_: object, __: object, logits: Tensor) -> Tensor:
        logits = logits.clone()
        logits[1, :, 0] = 30.0
        return logits

    before = made.predict(model, batch.images, batch.inside)
    head.register_forward_hook(loud)
    after = made.predict(model, batch.images, batch.inside)
    assert torch.equal(before.scores, after.scores)
    assert float(made.predict(model, batch.images).scores[1].min()) > 0.999
    assert torch.equal(before.maps[:, :, 8:], after.maps[:, :, 8:])


def test_li_base_sums_logarithms_of_the_pictures_patches() -> None:
    absent, present = -canvas(3, 2).abs(), -canvas(3, 2, seed=3).abs()
    image, label = PAIRS
    quiet = absent.masked_fill(~inside(3)[:, None], 0.0)
    torch.testing.assert_close(unannotated_loss(quiet, LABELS), unannotated_loss(absent[OWN], LABELS))
    found = annotated_loss(present[image, label], quiet[image, label], CELLS & inside(2))
    torch.testing.assert_close(found, annotated_loss(present[image, label][OWN], absent[image, label][OWN], CELLS[OWN]))


PIXELS: list[tuple[type[Method], dict[str, Any]]] = [
    (UNet, {"width": 4, "depth": 2}),
    (CheXseg, {**CHEXSEG, "supervision": "full", "weights": "random"}),
    (MultiMixUNet, {"width": 4}),
    (Umtl, {"width": 4, "pad": 0}),
    (MultiMix, {"width": 4, "pad": 0}),
]


def _with(masks: float, batch: Batch) -> Batch:
    """The batch with region masks of this value in the padding."""
    assert batch.masks is not None
    assert batch.truth is not None
    assert batch.inside is not None
    own = batch.inside[(batch.truth == 1).nonzero()[:, 0]]
    beside = {name: _with(masks, other) if other.masks is not None else other for name, other in batch.beside.items()}
    return dataclasses.replace(batch, masks=torch.where(own, batch.masks, masks), beside=beside)


@pytest.mark.parametrize(("method", "config"), PIXELS, ids=[method.name for method, _ in PIXELS])
def test_a_step_learns_no_pixel_of_the_padding(method: type[Method], config: dict[str, Any]) -> None:
    made = method(method.Config(**config), synthetic_task(method))
    (stage,) = made.stages(1)
    batch = padded(synthetic_batch(method, made.task, stage=stage))
    losses = []
    for masks in (0.0, 1.0):
        torch.manual_seed(0)
        model = made.build().train()
        step = Step(epoch=0, stage=stage.name, generator=torch.Generator(), backward=torch.autograd.backward)
        losses.append(made.training_step(model, _with(masks, batch), step))
    torch.testing.assert_close(losses[0], losses[1])


SLIM = {"backbone": "resnet10_slim", "weights": "random", "output_stride": 8}
SCALED: list[tuple[type[Method], dict[str, Any]]] = [
    (CamAvg, SLIM),
    (DeepMil, SLIM),
    (GradCam, SLIM),
    (MinMaxEntropy, SLIM),
    *((SaliencyProposals, {**SALIENCY, "scale": scale}) for scale in ("percentile", "absolute")),
]


@pytest.mark.parametrize(("method", "config"), SCALED)
def test_maps_that_are_scaled_reach_0_and_1_in_the_picture(method: type[Method], config: dict[str, Any]) -> None:
    made = method(method.Config(**config), synthetic_task(method))
    torch.manual_seed(0)
    batch = padded(synthetic_batch(method, made.task))
    assert batch.inside is not None
    maps = made.predict(made.build().eval(), batch.images, batch.inside).maps
    for each, own in zip(maps, batch.inside, strict=True):
        for map_ in each:
            assert map_[own].aminmax() == (0, 1) or not map_.any()


def test_the_localizers_masks_are_scaled_in_the_picture_while_it_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    made = MinMaxEntropy(MinMaxEntropy.Config(**SLIM, u=1, erasing_start=0), synthetic_task(MinMaxEntropy))
    batch = padded(synthetic_batch(MinMaxEntropy, made.task))
    found: list[Tensor] = []

    def watched(fine: Tensor, **settings: Any) -> Tensor:
        found.append(fine)
        return mask(fine, **settings)

    monkeypatch.setattr("methods.minmax_entropy.mask.mask", watched)
    torch.manual_seed(0)
    step = Step(epoch=0, stage="train", generator=torch.Generator(), backward=torch.autograd.backward)
    made.training_step(made.build().train(), batch, step)
    assert batch.inside is not None
    assert len(found) == 2
    for fine in found:
        for each, own in zip(fine, batch.inside, strict=True):
            assert each[0][own].aminmax() == (0, 1)


@pytest.mark.parametrize(
    ("method", "config"), [(CheXseg, {**CHEXSEG, "supervision": "full", "weights": "random"}), (MultiMixUNet, {})]
)
def test_a_score_is_the_highest_value_in_the_picture(method: type[Method], config: dict[str, Any]) -> None:
    made = method(method.Config(**config), synthetic_task(method))
    torch.manual_seed(0)
    batch = padded(synthetic_batch(method, made.task))
    assert batch.inside is not None
    found = made.predict(made.build().eval(), batch.images, batch.inside)
    for scores, maps, own in zip(found.scores, found.maps, batch.inside, strict=True):
        assert torch.equal(scores, maps[:, own].amax(1))


@pytest.mark.parametrize(
    ("method", "stage"), [(LimitedAnnotation, "unary"), (LimitedAnnotation, "crf"), (LiBase, "train")]
)
def test_a_step_learns_no_patch_of_the_padding(method: type[LimitedAnnotation] | type[LiBase], stage: str) -> None:
    made, batch = _patches(method)
    losses = []
    for value in (0.0, 30.0):
        torch.manual_seed(0)
        model = made.build().train()
        head = model.get_submodule("unary" if method is LimitedAnnotation else "").get_submodule("head")

        def loud(_: object, __: object, logits: Tensor, value: float = value) -> Tensor:
            logits = logits.clone()
            logits[1, :, 0] = value
            return logits

        head.register_forward_hook(loud)
        step = Step(epoch=0, stage=stage, generator=torch.Generator(), backward=lambda loss: None)
        losses.append(made.training_step(model, batch, step))
    torch.testing.assert_close(losses[0], losses[1])


def test_multimix_compares_no_pixel_of_the_padding() -> None:
    made = MultiMix(MultiMix.Config(width=4, pad=0, dropout=0.0), synthetic_task(MultiMix))
    (stage,) = made.stages(1)
    batch = padded(synthetic_batch(MultiMix, made.task, stage=stage))
    both = [batch.beside[name].inside for name in ("masked", "unmasked")]
    own = torch.cat([inside for inside in both if inside is not None])[:, None]
    losses = []
    for value in (0.0, 9.0):
        torch.manual_seed(0)
        model = made.build().train()
        model.get_submodule("decoder").register_forward_hook(
            lambda _, __, logits, value=value: torch.where(
                own, logits, value * torch.arange(len(own))[:, None, None, None]
            )
        )
        step = Step(epoch=0, stage="train", generator=torch.Generator(), backward=torch.autograd.backward)
        losses.append(made.training_step(model, batch, step))
    assert float(losses[0]["loss_divergence"]) > 0
    torch.testing.assert_close(losses[0], losses[1])
