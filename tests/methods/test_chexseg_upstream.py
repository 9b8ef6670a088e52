from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from chexseg_images import ROWS, TASK, Images, cams, config, enlarged, seeded, weak_maps
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from methods.chexseg import CheXseg
from methods.chexseg.cams import Cams, SaliencyMaps
from methods.chexseg.classifier import Classifier, EncoderClassifier
from methods.chexseg.irnet import IrNet
from methods.chexseg.pseudo_labels import CamLabels, PseudoLabels, WalkLabels
from raysearch.errors import DataError, MethodError
from raysearch.method import Outcome, Pool, upstream_plan


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
