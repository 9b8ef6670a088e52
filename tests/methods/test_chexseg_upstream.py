from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from test_chexseg_contract import SMALL
from torch import Tensor, nn
from torch.nn import functional as F

from methods.chexseg import CheXseg, CheXsegConfig
from methods.chexseg.cams import Cams, SaliencyMaps
from methods.chexseg.classifier import Classifier, EncoderClassifier
from methods.chexseg.irnet import IrNet, Seeds
from methods.chexseg.irnet import seeds as irnet_seeds
from methods.chexseg.irnet._work import decay
from methods.chexseg.irnet.seeds import cleaned, seeds
from methods.chexseg.pseudo_labels import CamLabels, PseudoLabels, WalkLabels
from methods.layers.crf import CrfSettings
from raysearch.errors import DataError, MethodError
from raysearch.method import Batch, Outcome, Pool, Step, Task, upstream_plan
from raysearch.space import load_space

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
        self.masks[0, 4:12, 4:20] = self.masks[1, 8:24, 16:24] = self.masks[2, 20:28, 4:12] = 1

    def batches(self, rows: NDArray[np.int64], size: int) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        for i in range(0, len(rows), size):
            yield rows[i : i + size], self.images[np.searchsorted(ROWS, rows[i : i + size])]

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


def made(work: type[PseudoLabels], outcomes: dict[str, Outcome], **settings: Any) -> tuple[Any, Tensor]:
    """Pseudo-regions, and the masks of its present pairs (M, 32, 32)."""
    labels = work(config(**settings), TASK)
    labels.outcomes = outcomes
    method = CheXseg(config(**settings), TASK)
    method.outcomes = {work.name: labels.outcome(labels.build(), Images())}
    found = method.pseudo_regions()
    assert found is not None
    assert found.packed.shape == (int((found.truth == 1).sum()), 128)
    return found, torch.from_numpy(np.unpackbits(found.packed, axis=1).reshape(-1, 32, 32).astype(bool))


def enlarged(maps: Tensor) -> Tensor:
    return F.interpolate(maps[None], size=(32, 32), mode="bilinear", align_corners=False)[0]


def weak_maps() -> tuple[Tensor, Tensor, Tensor]:
    """Maps, images and classes of the pairs that get pseudo-labels."""
    outcome = cams()
    chosen = outcome["weak"][outcome["image"]]
    return outcome["maps"][chosen], outcome["image"][chosen] - 2, outcome["label"][chosen]


def test_fixed_thresholds_are_by_class() -> None:
    threshold = {"a": 0.4, "b": 0.8, "c": 0.5}
    found, masks = made(CamLabels, {"cams": cams()}, threshold_rule="fixed", cam_threshold=threshold)
    assert found.rows.tolist() == [30, 40, 50, 60, 70]
    assert found.truth.tolist() == [[1, 0, -1], [1, 1, 0], [1, 0, -1], [0, 1, -1], [1, 1, 0]]
    for mask, map_, label in zip(masks, *weak_maps()[::2], strict=True):
        scaled = enlarged((map_ / map_.max())[None])[0]
        assert torch.equal(mask, scaled >= (0.8 if label == 1 else 0.4))


def test_raw_maps_are_compared_as_they_are() -> None:
    _, masks = made(CamLabels, {"cams": cams()}, threshold_rule="fixed", cam_threshold=0.7, cam_scale="raw")
    for mask, map_ in zip(masks, weak_maps()[0], strict=True):
        assert torch.equal(mask, enlarged(map_[None])[0] >= 0.7)


@pytest.mark.parametrize("scale", ["max", "raw"])
def test_tuned_thresholds_are_the_best_on_the_images_with_regions(scale: str) -> None:
    outcome, images = cams(), Images()
    _, masks = made(CamLabels, {"cams": outcome}, cam_scale=scale)
    own = [images.masks[[0, 1]], images.masks[[2]]]
    maps, _, label = weak_maps()
    for k in (0, 1):
        chosen = (outcome["label"] == k) & ~outcome["weak"][outcome["image"]]
        unit = outcome["maps"][outcome["label"] == k].max() if scale == "raw" else None
        annotated = torch.stack([enlarged((m / (unit or m.max()))[None])[0] for m in outcome["maps"][chosen]])
        regions = own[k] > 0
        tried = [annotated >= g / 100 for g in range(1, 100)]
        iou = [float((mask & regions).sum() / (mask | regions).sum()) for mask in tried]
        best = (1 + int(np.argmax(iou))) / 100
        for mask, map_ in zip(masks[label == k], maps[label == k], strict=True):
            assert torch.equal(mask, enlarged((map_ / (unit or map_.max()))[None])[0] >= best)


def test_without_regions_tuned_thresholds_are_the_fixed_one() -> None:
    outcome = dict(cams())
    chosen = outcome["weak"][outcome["image"]]
    outcome |= {"rows": outcome["rows"][2:], "weak": outcome["weak"][2:], "image": outcome["image"][chosen] - 2}
    outcome |= {"label": outcome["label"][chosen], "maps": outcome["maps"][chosen]}
    _, tuned = made(CamLabels, {"cams": outcome}, cam_threshold=0.7)
    _, fixed = made(CamLabels, {"cams": outcome}, cam_threshold=0.7, threshold_rule="fixed")
    assert torch.equal(tuned, fixed)


@pytest.mark.parametrize("rule", ["fixed", "tuned", "otsu"])
def test_weak_maps_are_forced_to_be_negative(rule: str) -> None:
    outcome = cams()
    pair = int(outcome["weak"][outcome["image"]].nonzero()[0, 0])
    outcome["maps"][pair] *= 1e-3
    every, _ = made(CamLabels, {"cams": outcome}, threshold_rule=rule)
    assert every.truth[0].tolist() == [1, 0, -1]
    found, _ = made(CamLabels, {"cams": outcome}, threshold_rule=rule, force_negative={"a": 2e-3, "b": 0, "c": 0})
    assert found.truth[0].tolist() == [0, 0, -1], "an empty mask is no region"
    assert np.array_equal(found.truth[1:], every.truth[1:])


def test_walked_labels_of_an_image_without_boundaries_are_averages() -> None:
    rows = torch.tensor([30, 40, 50, 60, 70])
    irnet = {"rows": rows, "boundary": torch.zeros(5, 8, 8).half()}
    settings = {"walk_radius": 2, "walk_times": 0, "walk_background": 0.5, "labels": "irnet"}
    found, masks = made(WalkLabels, {"cams": cams(), "irnet": irnet}, **settings)
    assert found.truth.tolist() == [[1, 0, -1], [1, 1, 0], [1, 0, -1], [0, 1, -1], [1, 1, 0]]
    around = torch.ones(1, 1, 3, 3)
    reach = F.conv2d(torch.ones(1, 1, 8, 8), around, padding=1)
    for mask, map_ in zip(masks, weak_maps()[0], strict=True):
        start = F.interpolate((map_ / map_.max())[None, None], size=(8, 8), mode="bilinear")
        # a column of T is over its own sum: what arrives is the mean of a cell and its neighbours
        end = enlarged((F.conv2d(start, around, padding=1) / reach)[0])[0]
        assert torch.equal(mask, end / end.max() > 0.5)


def test_cams_are_of_positive_pairs_of_weak_and_annotated_images() -> None:
    torch.manual_seed(0)
    images, settings = Images(), config()
    classifier = Classifier(settings, TASK).build().eval()
    work = Cams(settings, TASK)
    work.outcomes = {"classifier": {f"weights.{k}": v for k, v in classifier.state_dict().items()}}
    found = work.outcome(work.build().eval(), images)
    expected = cams()
    for name in ("rows", "weak", "image", "label"):
        assert torch.equal(found[name], expected[name])
    weights = classifier.get_parameter("head.maps.weight")[:, :, 0, 0]
    for i, k, map_ in zip(found["image"], found["label"], found["maps"], strict=True):
        place = int(np.searchsorted(ROWS, int(found["rows"][i])))
        with torch.no_grad():
            features = classifier.features(images.images[place : place + 1])[0]  # type: ignore[operator]
        plain = torch.einsum("f,fij->ij", weights[k], features).relu() / features[0].numel()
        torch.testing.assert_close(map_, plain, rtol=1e-4, atol=1e-6)
    parts = SaliencyMaps.load(found, images.pool)
    assert len(parts.part(parts.weak).rows) == 5


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ["classifier", "cams", "cam_labels"]),
        ({"labels": "irnet"}, ["classifier", "cams", "seeds", "irnet", "walk_labels"]),
        ({"supervision": "weak", "weights": "random"}, ["classifier", "cams", "cam_labels"]),
        ({"supervision": "full"}, ["classifier"]),
        ({"supervision": "full", "weights": "random"}, []),
        ({"output_stride": 16}, ["classifier", "cams", "cam_labels", "encoder_classifier"]),
        ({"supervision": "full", "output_stride": 16}, ["encoder_classifier"]),
    ],
)
def test_a_condition_needs_no_more_than_it_uses(settings: dict[str, Any], names: list[str]) -> None:
    assert [work.name for work in CheXseg.upstream(config(**settings))] == names


def test_what_trials_share_depends_on_no_setting_of_the_segmentation() -> None:
    def keys(**settings: Any) -> dict[str, str]:
        return {work["name"]: work["key"] for work in upstream_plan(CheXseg, config(**settings), 0)}

    every = keys(labels="irnet")
    for other in ({"p": 0.2}, {"lr": 1e-4, "batch": 4}, {"supervision": "weak"}, {"width": 8, "dropout": 0.0}):
        assert keys(labels="irnet", **other) == every
    thresholds = keys(labels="irnet", walk_beta=2.0)
    assert {name for name in every if thresholds[name] != every[name]} == {"walk_labels"}
    subset = keys(labels="irnet", subset=1)
    assert {name for name in every if subset[name] != every[name]} == {"cams", "seeds", "irnet", "walk_labels"}
    cleaning = keys(labels="irnet", seed_cleaning="crf")
    assert {name for name in every if cleaning[name] != every[name]} == {"seeds", "irnet", "walk_labels"}


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ["cam_labels", "classifier"]),
        ({"labels": "irnet"}, ["walk_labels", "classifier"]),
        ({"labels": "irnet", "output_stride": 16}, ["walk_labels", "encoder_classifier"]),
        ({"labels": "irnet", "weights": "random"}, ["walk_labels"]),
        ({"labels": "irnet", "supervision": "full"}, ["classifier"]),
        ({"supervision": "full", "weights": "random"}, []),
    ],
)
def test_a_training_is_given_its_labels_and_its_encoder(settings: dict[str, Any], names: list[str]) -> None:
    assert list(CheXseg.inputs(config(**settings))) == names
    works = upstream_plan(CheXseg, config(**settings), 0)
    assert {work["name"] for work in works if work["read"]} == set(names)


def test_the_encoder_starts_from_the_classifier() -> None:
    settings = config()
    torch.manual_seed(0)
    state = Classifier(settings, TASK).build().state_dict()
    method = CheXseg(settings, TASK)
    method.outcomes = {"classifier": {f"weights.{name}": value for name, value in state.items()}}
    torch.manual_seed(1)
    encoder = method.build().state_dict()
    shared = [name for name in state if name.startswith("backbone.")]
    assert len(shared) > 20
    assert all(torch.equal(state[name], encoder[f"encoder.{name}"]) for name in shared)


def test_self_supervised_weights_from_a_file(tmp_path: Path) -> None:
    settings = config(weights="random")
    torch.manual_seed(0)
    source = CheXseg(settings, TASK).build().get_submodule("encoder.backbone.network").state_dict()
    queries = {f"module.encoder_q.{name}": value for name, value in source.items()}
    keys = {f"module.encoder_k.{name}": value + 1 for name, value in source.items()}
    others = {"module.queue": torch.rand(3, 4), "module.encoder_q.fc.0.weight": torch.rand(2, 2)}
    path = tmp_path / "moco.pth.tar"
    torch.save({"epoch": 7, "arch": "resnet", "state_dict": {**keys, **others, **queries}}, path)
    torch.manual_seed(1)
    found = CheXseg(config(weights=str(path)), TASK).build().get_submodule("encoder.backbone.network").state_dict()
    assert all(torch.equal(value, source[name]) for name, value in found.items())
    torch.save({"state_dict": {name: value for name, value in queries.items() if "layer3" not in name}}, path)
    with pytest.raises(MethodError, match=r"do not fit backbone .*: they lack 'layer3"):
        CheXseg(config(weights=str(path)), TASK).build()


def test_only_a_residual_network_is_an_encoder() -> None:
    with pytest.raises(MethodError, match="is no ResNet of timm"):
        CheXseg(config(backbone="resnetv2_10_slim", weights="random"), TASK).build()
    with pytest.raises(MethodError, match="classifier_stride is 8"):
        Classifier(config(classifier_backbone="densenet_slim", irnet_weights="random"), TASK).build()


def drawn(supervision: str, outcomes: dict[str, Outcome], pool: Pool, p: float = 0.5) -> NDArray[np.int64]:
    method = CheXseg(config(supervision=supervision, p=p), TASK)
    method.outcomes = outcomes
    return method.draw(pool, np.random.default_rng(1))


def labels_of(*rows: int) -> dict[str, Outcome]:
    empty = {"truth": torch.zeros(len(rows), 3, dtype=torch.int8), "packed": torch.zeros(0, 128)}
    return {"cam_labels": {"rows": torch.tensor(rows, dtype=torch.int64), **empty}}


def with_truth(pool: Pool, truth: NDArray[np.int8]) -> Pool:
    return Pool(rows=pool.rows, labels=pool.labels, truth=truth, source=pool.source)


def test_conditions_draw_from_their_own_images() -> None:
    pool = Images().pool
    rows = [30, 40, 50, 60, 70]
    outcomes = labels_of(*rows)
    assert sorted(drawn("weak", outcomes, pool)) == rows
    assert sorted(drawn("full", {}, pool)) == [10, 20]
    both = drawn("semi", outcomes, pool)
    assert len(both) == 7
    assert {10, 20} & set(both)
    assert {30, 40, 50, 60, 70} & set(both)


def test_an_image_with_negative_labels_alone_has_no_expert_mask() -> None:
    """Of CheXpert a negative label says that a region is absent, with no expert about."""
    pool = Images().pool
    truth = np.where(pool.labels == 0, np.int8(0), np.int8(-1))
    truth[:2] = pool.truth[:2]
    assert sorted(drawn("full", {}, with_truth(pool, truth))) == [10, 20]
    assert set(drawn("semi", labels_of(30), with_truth(pool, truth), p=1.0)) == {10, 20}


NO_WEAK = "none of the 8 training images has a positive label and no known region: .*--annotated N"
NO_EXPERT = "none of the 8 training images has a known region: expected some for supervision={}; give --annotated N"


def test_nothing_to_learn_from_is_refused() -> None:
    pool = Images().pool
    bare = with_truth(pool, np.full_like(pool.truth, -1))
    with pytest.raises(DataError, match=NO_WEAK):
        drawn("weak", {}, pool)
    with pytest.raises(DataError, match=NO_EXPERT.format("full")):
        drawn("full", {}, bare)
    work = IrNet(config(labels="irnet"), TASK)
    work.outcomes = {"seeds": seeded({**cams(), "weak": torch.zeros(7, dtype=torch.bool)})}
    with pytest.raises(DataError, match="give --annotated N"):
        work.draw(pool, np.random.default_rng(0))


@pytest.mark.parametrize("p", [0.0, 0.5, 0.9])
def test_semi_supervision_without_weak_images_is_no_full_supervision(p: float) -> None:
    pool = Images().pool
    absent = with_truth(pool, np.where(pool.truth < 0, np.int8(0), pool.truth))
    with pytest.raises(DataError, match=NO_WEAK):
        drawn("semi", labels_of(), absent, p=p)
    with pytest.raises(DataError, match=NO_WEAK):
        CheXseg(config(p=p), TASK).check(absent)
    assert set(drawn("semi", labels_of(), absent, p=1.0)) == {10, 20}


@pytest.mark.parametrize("p", [0.5, 1.0])
def test_semi_supervision_without_experts_is_no_weak_supervision(p: float) -> None:
    pool = Images().pool
    bare = with_truth(pool, np.full_like(pool.truth, -1))
    with pytest.raises(DataError, match=NO_EXPERT.format(f"semi, p={p:g}")):
        drawn("semi", labels_of(30), bare, p=p)
    with pytest.raises(DataError, match=NO_EXPERT.format(f"semi, p={p:g}")):
        CheXseg(config(p=p), TASK).check(bare)
    assert set(drawn("semi", labels_of(30), bare, p=0.0)) == {30}


def test_more_weak_maps_than_there_are_images_for_is_said() -> None:
    pool = Images().pool
    assert not CheXseg(config(weak_maps=4), TASK).check(pool)
    assert not CheXseg(config(weak_maps=0), TASK).check(pool), "all of them are asked for"
    assert not CheXseg(config(weak_maps=9, supervision="full"), TASK).check(pool)
    for count in (5, 9):
        (note,) = CheXseg(config(weak_maps=count), TASK).check(pool)
        assert note.startswith(f"weak_maps is {count}, and 5 training images")


def test_both_classifiers_have_weights_of_their_own(tmp_path: Path) -> None:
    """A file of the one does not fit the other."""
    two = {"classifier_backbone": "densenet_slim", "classifier_stride": 32, "irnet_weights": "random"}
    torch.manual_seed(0)
    first = Classifier(config(**two), TASK).build()
    second = EncoderClassifier(config(**two), TASK).build()
    paths = tmp_path / "first.pth", tmp_path / "second.pth"
    for network, path in zip((first, second), paths, strict=True):
        network_of = network.get_submodule("backbone.network")
        inner = network_of.get_submodule("features.network") if hasattr(network_of, "features") else network_of
        torch.save(inner.state_dict(), path)
    torch.manual_seed(1)
    given = config(**two, classifier_weights=str(paths[0]), encoder_classifier_weights=str(paths[1]))
    for work, network in ((Classifier, first), (EncoderClassifier, second)):
        found, expected = work(given, TASK).build().state_dict(), network.state_dict()
        assert all(torch.equal(found[name], expected[name]) for name in expected if name.startswith("backbone."))
    keys = [{w["name"]: w["key"] for w in upstream_plan(CheXseg, one, 0)} for one in (config(**two), given)]
    other = {w["name"]: w["key"] for w in upstream_plan(CheXseg, config(**two, classifier_weights=str(paths[0])), 0)}
    assert other["encoder_classifier"] == keys[0]["encoder_classifier"] != keys[1]["encoder_classifier"]
    assert other["classifier"] == keys[1]["classifier"] != keys[0]["classifier"]


def seeded(outcome: Outcome | None = None, images: Images | None = None, **settings: Any) -> Outcome:
    work = Seeds(config(**settings), TASK)
    work.outcomes = {"cams": cams() if outcome is None else outcome}
    return work.outcome(work.build(), images or Images())


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

    def dense_crf(foreground: Tensor, images: Tensor, settings: CrfSettings) -> Tensor:
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


@pytest.mark.parametrize(
    "wrong",
    [
        {"p": 1.1},
        {"supervision": "none"},
        {"labels": "cam"},
        {"seed_background": 0.4},
        {"seed_cleaning": "dense"},
        {"irnet_width": 12},
        {"walk_background": 1.0},
        {"threshold_rule": "best"},
        {"cam_threshold": -0.1},
        {"cam_threshold": 1.1},
        {"classifier_batch": 1},
        {"classifier_stride": 4},
        {"dilation": 0},
        {"irnet_radius": 1},
        {"irnet_decay": -0.1},
        {"encoder_classifier_weights": ""},
    ],
)
def test_values_out_of_range_are_refused_by_name(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} is .*: expected"):
        config(**wrong)


@pytest.mark.parametrize("name", ["resnet51", "torchvision/densenet120", "", "resnets/resnet18"])
def test_an_unknown_classifier_is_refused_by_its_own_name(name: str) -> None:
    """Not as another network than that of IRNet, which has the classifier's weights."""
    with pytest.raises(
        ValueError, match=f"classifier_backbone is '{name}': expected the name of a network of timm or "
    ):
        config(classifier_backbone=name)


@pytest.mark.parametrize("name", ["timm/resnet18.a1_in1k", "torchvision/densenet121", "densenet_slim", "resnet10_slim"])
def test_known_classifiers(name: str) -> None:
    assert config(classifier_backbone=name, irnet_weights="random").classifier_backbone == name


def test_thresholds_of_maps_over_their_maximum_are_at_most_1() -> None:
    assert config(cam_threshold=7.0, cam_scale="raw").cam_threshold == 7
    with pytest.raises(ValueError, match=r"cam_threshold is 7.0: expected at most 1, since .* with cam_scale=max"):
        config(cam_threshold={"a": 1.0, "b": 7.0})


def test_irnet_has_the_classifiers_weights_only_as_the_same_network() -> None:
    with pytest.raises(ValueError, match="irnet_backbone is 'resnet18': expected the classifier's, resnet10_slim"):
        config(irnet_backbone="resnet18")


def test_thresholds_of_maps_are_searched_where_they_are_not_tuned() -> None:
    space = load_space(CheXseg, "paper")
    assert "cam_threshold" not in space.searched
    assert "cam_threshold" in space.override(fixes=("threshold_rule=fixed",)).searched


def test_defaults_are_the_papers() -> None:
    paper = {"classifier_lr": 1e-4, "classifier_batch": 16, "classifier_epochs": 3, "p": 0.9, "batch": 8, "lr": 1e-3}
    paper |= {"seed_foreground": 0.3, "seed_background": 0.05, "irnet_lr": 0.1, "irnet_batch": 16, "irnet_radius": 10}
    paper |= {"width": 256, "detail": 48, "dilation": 12, "output_stride": 16, "dropout": 0.5, "weak_maps": 100}
    found = CheXsegConfig()
    assert {name: getattr(found, name) for name in paper} == paper
