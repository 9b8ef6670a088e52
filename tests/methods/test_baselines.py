from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from methods.all_ones import AllOnes
from methods.cam import CamAvg, GradCam
from methods.deep_mil._method import AttentionHead
from methods.layers.crf import CrfSettings, dense_crf
from methods.layers.grad_cam import grad_cam
from methods.layers.images import Normalize
from methods.layers.maps import min_max, resized_aligned
from methods.unet import UNet
from methods.unet._method import foreground_target, pixel_loss
from raysearch.method import Batch, Step, Task, load_method
from raysearch.testing import synthetic_batch, synthetic_task

SLIM: dict[str, Any] = {"backbone": "resnet10_slim", "weights": "random", "output_stride": 8}


def test_grad_cam_of_average_pooling_is_the_rectified_cam() -> None:
    torch.manual_seed(0)
    features = torch.randn(3, 6, 4, 5)
    weight, bias = torch.randn(4, 6), torch.randn(4)
    scores, maps = grad_cam(features, lambda a: a.mean((2, 3)) @ weight.T + bias)
    predicted = (features.mean((2, 3)) @ weight.T + bias).argmax(1)
    cam = torch.einsum("nf,nfhw->nhw", weight[predicted], features)
    torch.testing.assert_close(maps[:, 0], cam.relu() / 20)
    torch.testing.assert_close(scores.argmax(1), predicted)


def test_grad_cam_shares_the_classifier_of_cam_avg() -> None:
    task = synthetic_task(CamAvg)
    images = synthetic_batch(CamAvg, task).images
    cam, grad = CamAvg(CamAvg.Config(**SLIM), task), GradCam(GradCam.Config(**SLIM), task)
    torch.manual_seed(0)
    model: Any = cam.build().eval()
    torch.testing.assert_close(cam.predict(model, images).scores, grad.predict(model, images).scores)
    with torch.no_grad():
        scores, maps = model(images)
        own = maps[torch.arange(6), scores.argmax(1)] - model.head.maps.bias[scores.argmax(1)][:, None, None]
    expected = min_max(resized_aligned(own.relu()[:, None] / own[0].numel(), (32, 32)), fill=0.0)
    torch.testing.assert_close(grad.predict(model, images).maps, expected, atol=1e-4, rtol=0)


def test_cam_map_is_that_of_the_predicted_class() -> None:
    task = synthetic_task(CamAvg)
    images = synthetic_batch(CamAvg, task).images
    method = CamAvg(CamAvg.Config(**SLIM), task)
    torch.manual_seed(0)
    model: Any = method.build().eval()
    prediction = method.predict(model, images)
    with torch.no_grad():
        scores, maps = model(images)
    for i in range(len(images)):
        k = int(scores[i].argmax())
        full = F.interpolate(maps[i, k][None, None], size=(32, 32), mode="bilinear", align_corners=True)
        torch.testing.assert_close(prediction.maps[i], min_max(full, fill=0.0)[0])
    torch.testing.assert_close(prediction.scores, scores.softmax(1))


@pytest.mark.parametrize("gated", [False, True])
def test_attention_head_is_eq_8_and_9(gated: bool) -> None:
    torch.manual_seed(0)
    head = AttentionHead(5, 3, hidden=4, gated=gated)
    features = torch.randn(2, 5, 2, 3)
    scores, maps = head(features)
    torch.testing.assert_close(maps.sum((2, 3)), torch.ones(2, 3))
    part = head.state_dict()
    with torch.no_grad():
        for i in range(2):
            cells = features[i].flatten(1).T
            hidden = torch.tanh(cells @ part["v.weight"][:, :, 0, 0].T + part["v.bias"])
            if gated:
                hidden = hidden * torch.sigmoid(cells @ part["u.weight"][:, :, 0, 0].T + part["u.bias"])
            for k in range(3):
                energy = [math.exp(float(h @ part["w.weight"][k, :, 0, 0] + part["w.bias"][k])) for h in hidden]
                attention = torch.tensor(energy) / sum(energy)
                torch.testing.assert_close(maps[i, k].flatten(), attention)
                bag = attention @ cells
                torch.testing.assert_close(
                    scores[i, k], bag @ head.classifier.weight[k] + head.classifier.bias[k], atol=1e-5, rtol=1e-5
                )


def test_unet_target_is_the_region_of_known_images() -> None:
    truth = torch.tensor([[1, 1], [-1, -1], [0, -1], [0, 1]], dtype=torch.int8)
    masks = torch.zeros(3, 2, 2)
    masks[0, 0, 0] = masks[1, 0] = masks[2, 1, 1] = 1
    target, known = foreground_target(masks, truth, torch.tensor([0, 1, 0, 1]))
    assert known.tolist() == [True, False, True, True]
    assert target[0, 0].tolist() == [[1, 1], [0, 0]], "regions that overlap are one"
    assert target[2].sum() == 0, "a class that is known to be absent has no region"
    assert target[3, 0].tolist() == [[0, 0], [0, 1]]


def test_unet_learns_nothing_from_the_pixels_of_unknown_images() -> None:
    task = synthetic_task(UNet)
    method = UNet(UNet.Config(width=4, depth=2), task)
    batch = synthetic_batch(UNet, task)
    assert batch.masks is not None

    def pixel(masks: torch.Tensor, truth: torch.Tensor | None) -> torch.Tensor:
        changed = Batch(images=batch.images, labels=batch.labels, index=batch.index, masks=masks, truth=truth)
        torch.manual_seed(0)
        model = method.build().train()
        step = Step(epoch=0, stage="train", generator=torch.Generator(), backward=lambda loss: None)
        return method.training_step(model, changed, step)["loss_pixel"]

    assert batch.truth is not None
    assert batch.truth[5].tolist() == [-1, -1, -1]
    other = batch.masks.clone()
    other[0] = 1 - other[0]
    assert pixel(batch.masks, batch.truth) != pixel(other, batch.truth)
    assert pixel(batch.masks[:0], torch.full_like(batch.truth, -1)) == 0
    # an image that turns unknown takes its region with it: the others' losses are averaged as they were
    known = batch.truth.clone()
    known[0] = -1
    losses = pixel_losses(method, batch)
    torch.testing.assert_close(pixel(batch.masks[1:], known), losses[1:5].mean())
    torch.testing.assert_close(pixel(batch.masks, batch.truth), losses[:5].mean())


def pixel_losses(method: UNet, batch: Batch) -> torch.Tensor:
    """(N,) of the synthetic batch, whose image i holds mask i."""
    assert batch.masks is not None
    torch.manual_seed(0)
    _, logits = method.build().train()(batch.images)
    masks = torch.cat([batch.masks, batch.masks[:1]])
    return pixel_loss(logits, masks[:, None]).detach()


def test_pixel_loss_is_the_mean_cross_entropy() -> None:
    logits = torch.tensor([[[[0.3, -1.2]]]], dtype=torch.float64, requires_grad=True)
    target = torch.tensor([[[[1.0, 0.0]]]], dtype=torch.float64)
    p = [1 / (1 + math.exp(-x)) for x in (0.3, -1.2)]
    assert math.isclose(pixel_loss(logits, target).item(), -(math.log(p[0]) + math.log(1 - p[1])) / 2)
    assert torch.autograd.gradcheck(lambda x: pixel_loss(x, target), logits)


def test_unet_refuses_a_batch_without_masks() -> None:
    task = synthetic_task(UNet)
    method = UNet(UNet.Config(width=4, depth=2), task)
    batch = synthetic_batch(CamAvg, task)
    with pytest.raises(ValueError, match="without masks"):
        method.training_step(
            method.build(), batch, Step(epoch=0, stage="train", generator=torch.Generator(), backward=lambda x: None)
        )


def test_all_ones_says_ones() -> None:
    task = Task(classes=("a", "b", "c", "d"), view="single", channels=1, size=(8, 6))
    method = AllOnes(AllOnes.Config(), task)
    prediction = method.predict(method.build(), torch.rand(3, 1, 8, 6))
    assert (prediction.maps == 1).all()
    assert (prediction.scores == 0.25).all()
    with pytest.raises(RuntimeError):
        method.training_step(method.build(), None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("channels", [1, 3])
def test_input_scaling(channels: int) -> None:
    images = torch.rand(2, channels, 3, 3)
    torch.testing.assert_close(Normalize("half", channels)(images), 2 * images - 1)
    scaled = Normalize("imagenet", channels)(images)
    mean, std = (0.449, 0.226) if channels == 1 else (0.456, 0.224)
    torch.testing.assert_close(scaled[:, channels // 2], (images[:, channels // 2] - mean) / std)


@pytest.mark.parametrize("name", ["cam_avg", "cam_max", "cam_lse", "wildcat", "grad_cam", "deep_mil"])
def test_baselines_take_the_crf_of_table_6(name: str) -> None:
    kind: Any = load_method(name)
    task = synthetic_task(kind)
    images = synthetic_batch(kind, task).images
    without, with_crf = (kind(kind.Config(**SLIM, postprocess=what), task) for what in ("none", "crf"))
    torch.manual_seed(0)
    model = without.build().eval()
    plain, refined = without.predict(model, images), with_crf.predict(model, images)
    torch.testing.assert_close(refined.scores, plain.scores)
    settings = CrfSettings(
        iterations=2, theta_alpha=13.0, theta_beta=3.0, theta_gamma=3.0, weight_bilateral=1.0, weight_gaussian=1.0
    )
    torch.testing.assert_close(refined.maps, dense_crf(plain.maps, images, settings))
    assert not torch.equal(refined.maps, plain.maps)
