"""What MultiMix and its baselines are made of (section 3.2), what each stream draws, and what a step adds up."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from methods.multimix import (
    Enc,
    EncMm,
    EncMmConfig,
    EncSsl,
    EncSslConfig,
    MultiMix,
    MultiMixConfig,
    MultiMixUNet,
    Umtl,
    UmtlS,
    UmtlSsl,
    UmtlSslS,
)
from methods.multimix._base import MultiMixFamily, mean_of
from methods.multimix._streams import whole_batches
from methods.multimix.mixmatch import sharpen
from raysearch.errors import DataError, MethodError
from raysearch.method import Augmentation, Batch, Pool, Step, Stream, Task
from raysearch.testing import synthetic_batch, synthetic_task

FAMILY: tuple[tuple[type[MultiMixFamily], str, str, bool], ...] = (
    (Enc, "labelled", "label", False),
    (EncSsl, "labelled unlabelled", "label unlabelled", False),
    (EncMm, "labelled unlabelled", "label unlabelled", False),
    (MultiMixUNet, "masked", "dice", False),
    (Umtl, "labelled masked", "label dice", False),
    (UmtlS, "labelled masked", "label dice", True),
    (UmtlSsl, "labelled unlabelled masked", "label unlabelled dice", False),
    (UmtlSslS, "labelled unlabelled masked", "label unlabelled dice", True),
    (MultiMix, "labelled unlabelled masked unmasked", "label unlabelled dice divergence", True),
)


def make(kind: type[MultiMixFamily], **values: Any) -> MultiMixFamily:
    return kind(kind.Config(**{"width": 2, "dropout": 0.0, **values}), synthetic_task(kind))


def take_step(method: MultiMixFamily, *, epoch: int = 0, **changed: Batch) -> tuple[dict[str, float], torch.nn.Module]:
    """Losses of a step on synthetic images, some streams replaced, and the network with its gradients."""
    torch.manual_seed(0)
    model = method.build().train()
    batch = batch_of(method)
    batch = dataclasses.replace(batch, beside={**batch.beside, **changed})
    step = Step(
        epoch=epoch, stage="train", generator=torch.Generator().manual_seed(1), backward=lambda loss: loss.backward()
    )
    losses = method.training_step(model, batch, step)
    return {name: float(value) for name, value in losses.items()}, model


def batch_of(method: MultiMixFamily) -> Batch:
    (stage,) = method.stages(1)
    return synthetic_batch(type(method), method.task, stage=stage)


@pytest.mark.parametrize(("kind", "streams", "losses", "bridge"), FAMILY)
def test_the_table_of_baselines(kind: type[MultiMixFamily], streams: str, losses: str, bridge: bool) -> None:
    method = make(kind)
    (stage,) = method.stages(3)
    assert [stream.name for stream in stage.streams] == streams.split()
    found, model = take_step(method)
    assert {f"loss_{name}" for name in losses.split()} == {name for name in found if name.startswith("loss_")}
    assert (model.bridge is not None) == bridge
    assert (model.classifier is not None) == (kind is not MultiMixUNet)
    assert (model.decoder is not None) == ("dice" in losses)


def test_the_total_is_weighted_as_the_paper_has_it() -> None:
    found, _ = take_step(make(MultiMix, lambda_u=0.3, alpha=2.0, beta=0.1, t=0.5))
    parts = (found[f"loss_{name}"] for name in ("label", "unlabelled", "dice", "divergence"))
    assert found["loss"] == pytest.approx(np.dot([1.0, 0.3, 2.0, 0.1], list(parts)))
    assert found["pseudo_labelled"] == 1.0, "of two classes one has half the probability at least"


def test_a_released_divergence_leaves_umtl_ssl_s() -> None:
    with_it, one = take_step(make(MultiMix, kl="released", beta=1.0))
    without, other = take_step(make(UmtlSslS))
    assert with_it["loss_divergence"] == 0.0
    assert with_it["loss"] == pytest.approx(without["loss"])
    for p, q in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad)
    assert take_step(make(MultiMix, beta=1.0))[0]["loss_divergence"] > 0


def test_the_threshold_decides_what_is_learned_from() -> None:
    shares = [take_step(make(EncSsl, t=t))[0]["pseudo_labelled"] for t in (0.0, 1.0)]
    assert shares == [1.0, 0.0]
    by_class = {name: 0.0 if name == "class0" else 1.0 for name in synthetic_task(EncSsl).classes}
    assert 0.0 <= take_step(make(EncSsl, t=by_class))[0]["pseudo_labelled"] <= 1.0
    with pytest.raises(ValueError, match="expected one for each of"):
        take_step(make(EncSsl, t={"class0": 0.7}))


def test_an_images_weak_view_gets_no_gradient() -> None:
    method = make(EncSsl, t=0.0)
    unlabelled = batch_of(method).beside["unlabelled"]
    images = unlabelled.images.clone().requires_grad_()
    assert unlabelled.strong is not None
    strong = unlabelled.strong.clone().requires_grad_()
    take_step(method, unlabelled=dataclasses.replace(unlabelled, images=images, strong=strong))
    assert images.grad is None
    assert strong.grad is not None


def test_mixmatch_by_hand_where_nothing_is_mixed() -> None:
    # a Beta distribution with next to no mass between its ends leaves every image itself
    method = make(EncMm, mixing=1e-3, lambda_u=2.0, ramp=4)
    found, _ = take_step(method, epoch=2)
    torch.manual_seed(0)
    network = method.build().train()
    batch = batch_of(method)
    other = batch.beside["unlabelled"]
    assert other.strong is not None
    with torch.no_grad():
        label = F.cross_entropy(network.classify(batch.images), batch.labels)
        p = torch.stack([network.classify(view).softmax(1) for view in (other.images, other.strong)])
        distance = (p - sharpen(p.mean(0), 0.5)).square().mean()
    assert found["loss_label"] == pytest.approx(float(label), abs=1e-4)
    assert found["loss_unlabelled"] == pytest.approx(float(distance), abs=1e-5)
    assert found["loss"] == pytest.approx(found["loss_label"] + 0.5 * 2.0 * found["loss_unlabelled"])


def test_a_stream_counts_by_its_own_images_where_another_weights_the_gradient() -> None:
    batch = batch_of(make(MultiMix))
    first, part = dataclasses.replace(batch, share=0.5), dataclasses.replace(batch.beside["masked"], share=0.25)
    # the engine multiplies by 0.5: a quarter of all images of the part have this mean
    assert float(mean_of(torch.tensor([1.0, 3.0]), part, first)) == pytest.approx(2.0 * 0.25 / 0.5)
    assert float(mean_of(torch.zeros(0), dataclasses.replace(part, share=0.0), first)) == 0.0


def pool_of(labelled: int, unlabelled: int, masked: int, unmasked: int) -> Pool:
    """Two sources one after the other, the classes normal, abnormal and lungs."""
    classification, segmentation = labelled + unlabelled, masked + unmasked
    count = classification + segmentation
    labels, truth = np.full((count, 3), -1, np.int8), np.full((count, 3), -1, np.int8)
    labels[:labelled, :2] = np.eye(2, dtype=np.int8)[np.arange(labelled) % 2]
    truth[classification : classification + masked, 2] = 1
    source = np.repeat(np.array([0, 1], np.int8), [classification, segmentation])
    return Pool(rows=100 + np.arange(count), labels=labels, truth=truth, source=source)


@settings(max_examples=40)
@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12), st.integers(0, 12), st.integers(1, 7))
def test_streams_draw_their_own_images_in_whole_batches(a: int, b: int, c: int, d: int, batch: int) -> None:
    method = make(MultiMix, batch=batch)
    (stage,) = method.stages(1)
    pool = pool_of(a, b, c, d)
    starts = np.cumsum([100, a, b, c, d])
    for stream, start, count, source in zip(
        stage.streams, starts, (a, b, c, d), (a + b, a + b, c + d, c + d), strict=False
    ):
        if stream.name.startswith("un") and source and not count:
            continue  # refused, see below
        drawn = stream.draw(pool, np.random.default_rng(0))
        assert set(drawn) == set(range(start, start + count)), stream.name
        assert stream.batch == batch
        assert len(drawn) % batch == 0
        # as long as a pass over the source, whatever is known of it
        assert len(drawn) == (-(-source // batch) * batch if count else 0)


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        (EncSsl, "unlabelled", "all 6 training images to classify have a label, .* --labelled N, or"),
        (EncMm, "unlabelled", "all 6 training images to classify have a label, .* --labelled N, or"),
        (MultiMix, "unlabelled", "all 6 training images to classify have a label, .* --labelled N, or"),
        (MultiMix, "unmasked", "all 4 training images to segment have a known region, .* --annotated N, or"),
    ],
)
def test_what_is_left_where_everything_is_known(kind: type[MultiMixFamily], name: str, said: str) -> None:
    pool, some = pool_of(6, 0, 4, 0), pool_of(3, 3, 2, 2)
    with pytest.raises(DataError, match=f"^unlabelled=rest: {said} take them all with --fix unlabelled=all") as error:
        stream_of(make(kind), name).draw(pool, np.random.default_rng(0))
    assert "\n" not in str(error.value)
    everything = stream_of(make(kind, unlabelled="all"), name)
    own = set(range(100, 106)) if name == "unlabelled" else set(range(106, 110))
    for each in (pool, some):
        assert set(everything.draw(each, np.random.default_rng(0))) == own


def test_rows_come_equally_often() -> None:
    rows = np.array([3, 5, 8])
    drawn = whole_batches(rows, 10, 4, np.random.default_rng(0))
    assert len(drawn) == 12
    assert np.unique(drawn, return_counts=True)[1].tolist() == [4, 4, 4]
    again = whole_batches(rows, 10, 4, np.random.default_rng(0))
    assert drawn.tolist() == again.tolist()
    assert drawn.tolist() != whole_batches(rows, 10, 4, np.random.default_rng(1)).tolist()


def stream_of(method: MultiMixFamily, name: str) -> Stream:
    (stage,) = method.stages(1)
    return next(stream for stream in stage.streams if stream.name == name)


def test_augmentation_of_each_stream() -> None:
    method = make(MultiMix, pad=7, strong_pad=3, operations=1, magnitude=5)
    labelled, unlabelled = stream_of(method, "labelled"), stream_of(method, "unlabelled")
    assert labelled.augmentation == unlabelled.augmentation
    assert (labelled.augmentation.pad, labelled.augmentation.horizontal_flip) == (7, True)
    assert labelled.augmentation.operations == 0
    assert labelled.strong is None
    assert unlabelled.strong is not None
    assert (unlabelled.strong.pad, unlabelled.strong.operations, unlabelled.strong.magnitude) == (3, 1, 5)
    for name in ("masked", "unmasked"):
        assert stream_of(method, name).augmentation == Augmentation(), "images with masks are not augmented"
    views = stream_of(make(EncMm, pad=7), "unlabelled")
    assert views.strong == views.augmentation, "two weak views"


def test_several_classes_of_regions_have_a_map_each() -> None:
    task = Task(
        classes=("normal", "abnormal", "lungs", "heart"),
        view="single",
        channels=1,
        size=(32, 32),
        sources=("cls", "seg"),
        source_classes=(0, 0, 1, 1),
    )
    method = Umtl(Umtl.Config(width=2), task)
    found = method.predict(method.build(), torch.rand(2, 1, 32, 32))
    assert found.maps.shape == (2, 4, 32, 32)
    assert not found.maps[:, :2].any()
    assert found.maps[:, 2:].min() > 0
    assert not found.scores[:, 2:].any()
    one = Umtl(Umtl.Config(width=2), dataclasses.replace(task, classes=task.classes[:3], source_classes=(0, 0, 1)))
    assert one.predict(one.build(), torch.rand(2, 1, 32, 32)).maps.shape == (2, 1, 32, 32)


def test_an_encoder_localizes_nothing() -> None:
    method = make(Enc)
    assert not method.predict(method.build(), torch.rand(2, 1, 32, 32)).maps.any()


def test_an_unknown_region_does_not_count() -> None:
    method = make(MultiMixUNet)
    batch = batch_of(method)
    assert batch.truth is not None
    assert batch.masks is not None
    known = batch.truth[-1] < 0
    assert bool(known.all()), "the last synthetic image is not annotated"
    step = Step(epoch=0, stage="train", generator=torch.Generator(), backward=lambda loss: loss.backward())
    torch.manual_seed(0)
    model = method.build()
    loss = method.training_step(model, batch, step)["loss"]
    shorter = dataclasses.replace(
        batch, images=batch.images[:-1], labels=batch.labels[:-1], index=batch.index[:-1], truth=batch.truth[:-1]
    )
    torch.testing.assert_close(method.training_step(model, shorter, step)["loss"], loss)


def test_what_does_not_fit_is_refused_in_one_line() -> None:
    two, one = synthetic_task(Umtl), synthetic_task(Enc)
    for kind, task, found in (
        (Umtl, one, "umtl: data of one source, expected the sources cls, seg: give it with --data"),
        (Enc, two, "enc: data of the sources cls, seg, expected one source: give it with --data"),
        (Enc, synthetic_task(Enc, size=(31, 64)), "enc: images of 31x64, expected sides of 32"),
    ):
        with pytest.raises(MethodError, match=found) as error:
            kind(kind.Config(), task)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("config", "values", "message"),
    [
        (MultiMixConfig, {"kl": "gauss"}, "kl is 'gauss': expected one of bernoulli, released"),
        (MultiMixConfig, {"t": 1.5}, "t is 1.5"),
        (MultiMixConfig, {"t": {"normal": 0.7, "abnormal": -1}}, "t is -1"),
        (MultiMixConfig, {"saliency_sign": "both"}, "saliency_sign is 'both'"),
        (MultiMixConfig, {"dropout": 1.0}, "dropout is 1.0"),
        (MultiMixConfig, {"alpha": 0.0}, "alpha is 0.0"),
        (MultiMixConfig, {"pad": -1}, "pad is -1"),
        (EncSslConfig, {"magnitude": 1}, "magnitude is 1"),
        (EncMmConfig, {"temperature": 0.0}, "temperature is 0.0"),
        (EncMmConfig, {"unlabelled": "none"}, "unlabelled is 'none': expected one of rest, all"),
    ],
)
def test_settings_out_of_range_are_refused(config: type[Any], values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        config(**values)
