"""From observations to one number: whose thresholds, which images."""

from __future__ import annotations

import json
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from raysearch.method import LossThreshold
from raysearch.thresholds import AgainstTrivial, Counts, Logits, find_metric, quantise
from raysearch.training import Observations, Rule, evaluate, score
from raysearch.training._score import kept_by
from training.tiny import tiny_assignment, tiny_collection, tiny_method

CLASSES = ("a", "b")
SIZE = 6


def observations(
    *, labels: NDArray[np.int8] | None = None, truth: NDArray[np.int8] | None = None, single: bool = False
) -> tuple[Observations, NDArray[np.uint8], NDArray[np.uint8]]:
    """Eight images of eight patients, maps that tell class a at any threshold and class b at high ones only."""
    rng = np.random.default_rng(1)
    count = 8
    masks = np.zeros((count, 2, SIZE, SIZE), np.uint8)
    masks[:, 0, :3, :3] = masks[:, 1, 3:, 3:] = 1
    maps = rng.uniform(0.0, 0.25, masks.shape) + masks * 0.45
    maps[:, 1] = rng.uniform(0.5, 0.65, masks.shape)[:, 1] + masks[:, 1] * 0.2
    quantised = quantise(maps)
    truth = np.ones((count, 2), np.int8) if truth is None else truth
    labels = np.tile(np.array([[1, 0], [0, 1]], np.int8), (4, 1)) if labels is None else labels
    scores = np.where(labels > 0, 0.8, 0.2).astype(np.float32)
    scores[0] = scores[0, ::-1]  # one image is wrong
    about = (np.arange(count), [f"p{n}" for n in range(count)], CLASSES)
    view: Literal["single", "multi"] = "single" if single else "multi"
    found = Observations(
        evidence={
            "counts": Counts.from_maps(quantised, masks, truth, *about),
            "logits": Logits.from_scores(scores, labels, *about, view),
        }
    )
    return found, quantised, masks


def dice(quantised: NDArray[np.uint8], masks: NDArray[np.uint8], thresholds: dict[str, float]) -> float:
    values = []
    for k, name in enumerate(CLASSES):
        for one, mask in zip(quantised[:, k], masks[:, k], strict=True):
            predicted = one >= thresholds[name] * 255 - 1e-9
            values.append(2 * (predicted & (mask > 0)).sum() / (predicted.sum() + mask.sum()))
    return float(np.mean(values))


def test_a_round_is_kept_by_what_its_thresholds_are_for() -> None:
    tau, confidence = LossThreshold(name="tau", bounds="inside"), LossThreshold(name="t")
    found, _, _ = observations()
    error = score(found, Rule(metric="classification_error", decision="given"), given=0.4)
    aim = find_metric("classification_error")
    assert kept_by(error, aim, [tau]) == error.localization == error.metrics["f1_plus"]
    assert kept_by(error, aim, [confidence]) == kept_by(error, aim, [tau, confidence]) == -error.value
    no_regions, _, _ = observations(truth=np.full((8, 2), -1, np.int8))
    accuracy = score(no_regions, Rule(metric="accuracy", decision="solve"), given=0.4)
    assert kept_by(accuracy, find_metric("accuracy"), [confidence]) == accuracy.value
    assert np.isnan(kept_by(accuracy, find_metric("accuracy"), [tau]))


def test_given_thresholds_are_used_as_given() -> None:
    found, quantised, masks = observations()
    shared = score(found, Rule(metric="f1_plus", decision="given"), given=0.4)
    assert shared.value == pytest.approx(dice(quantised, masks, {"a": 0.4, "b": 0.4}))
    assert shared.thresholds == {"mask_threshold": pytest.approx(0.4)}
    apart = score(found, Rule(metric="f1_plus", decision="given"), given={"a": 0.4, "b": 0.6})
    assert apart.value == pytest.approx(dice(quantised, masks, {"a": 0.4, "b": 0.6}))
    assert apart.thresholds == {"mask_threshold.a": pytest.approx(0.4), "mask_threshold.b": pytest.approx(0.6)}
    assert apart.value > shared.value


def test_solved_thresholds_are_shared_or_by_class() -> None:
    found, quantised, masks = observations()
    shared = score(found, Rule(metric="f1_plus"), given=0.5)
    apart = score(found, Rule(metric="f1_plus", per_class=True), given=0.5)
    assert set(shared.thresholds) == {"mask_threshold"}
    assert set(apart.thresholds) == {"mask_threshold.a", "mask_threshold.b"}
    assert apart.value > shared.value
    assert dice(quantised, masks, {k: apart.thresholds[f"mask_threshold.{k}"] for k in CLASSES}) == 1.0


@pytest.mark.parametrize("metric", ["f1_plus", "iou:classes", "classification_error"])
@pytest.mark.parametrize("decision", ["solve", "given"])
def test_masks_are_recorded_beside_those_of_the_whole_picture(metric: str, decision: Any) -> None:
    found, _, masks = observations()
    result = score(found, Rule(metric=metric, decision=decision), given=0.4)
    against = result.against
    assert against is not None
    chooser = "f1_plus" if metric == "classification_error" else metric
    assert (against.metric, against.value) == (
        chooser,
        result.metrics[chooser] if chooser == "f1_plus" else result.value,
    )
    share = masks[0, 0].mean()
    of_everything = share if chooser == "iou:classes" else 2 * share / (1 + share)
    assert against.trivial == pytest.approx(of_everything)
    assert against.trivial_by_class == pytest.approx(dict.fromkeys(CLASSES, of_everything))
    assert against.value == pytest.approx(np.mean(list(against.by_class.values())))
    assert AgainstTrivial(**json.loads(json.dumps(result.row()))["against_trivial"]) == against


def test_without_regions_there_is_nothing_to_set_masks_beside() -> None:
    found, _, _ = observations(truth=np.full((8, 2), -1, np.int8))
    for decision in ("solve", "given"):
        assert score(found, Rule(metric="accuracy", decision=decision), given=0.4).against is None


def test_a_minimised_metric_of_scores_leaves_the_masks_to_f1() -> None:
    found, _, _ = observations(single=True)
    result = score(found, Rule(metric="classification_error"), given=0.5)
    assert result.value == pytest.approx(1 / 8)
    assert result.thresholds == score(found, Rule(metric="f1_plus"), given=0.5).thresholds
    assert result.metrics["f1_plus"] == score(found, Rule(metric="f1_plus"), given=0.5).value


def test_images_of_unknown_label_do_not_count() -> None:
    labels = np.tile(np.array([[1, 0], [0, 1]], np.int8), (4, 1))
    labels[0] = -1  # the wrong one
    found, _, _ = observations(labels=labels, single=True)
    assert score(found, Rule(metric="classification_error"), given=0.5).value == 0.0
    labels = np.tile(np.array([[1, -1], [-1, 1]], np.int8), (4, 1))
    found, _, _ = observations(labels=labels)
    assert score(found, Rule(metric="classification_error"), given=0.5).value == pytest.approx(1 / 8)


def test_images_of_unknown_region_do_not_count() -> None:
    truth = np.ones((8, 2), np.int8)
    truth[2:, 1] = -1
    found, quantised, masks = observations(truth=truth)
    value = score(found, Rule(metric="f1_plus", decision="given"), given=0.4).value
    per_image = [dice(quantised[n : n + 1], masks[n : n + 1], {"a": 0.4, "b": 0.4}) for n in range(2)]
    assert value == pytest.approx((2 * sum(per_image) + 6 * 1.0) / 10), "class a is right at 0.4"


def test_without_regions_scores_can_still_be_judged() -> None:
    found, _, _ = observations(truth=np.zeros((8, 2), np.int8), single=True)
    result = score(found, Rule(metric="classification_error"), given=0.3)
    assert result.value == pytest.approx(1 / 8)
    assert result.thresholds == {"mask_threshold": pytest.approx(0.3, abs=1 / 255)}
    with pytest.raises(ValueError, match="no image with a known region to score f1_plus on"):
        score(found, Rule(metric="f1_plus"), given=0.3)


def test_without_labels_masks_can_still_be_judged() -> None:
    found, _, _ = observations(labels=np.full((8, 2), -1, np.int8))
    assert score(found, Rule(metric="f1_plus"), given=0.5).value > 0
    with pytest.raises(ValueError, match="no image with a known label to score classification_error on"):
        score(found, Rule(metric="classification_error"), given=0.5)


@pytest.mark.parametrize("thresholds", [0.5, {"a": 0.5, "b": 0.4, "c": 0.6}])
def test_an_evaluation_takes_both_forms_of_thresholds(thresholds: Any) -> None:
    method, assignment = tiny_method(), tiny_assignment()
    model = method.build().train()
    rule = Rule(metric="f1_plus", decision="given")
    found = evaluate(
        method, model, tiny_collection(), assignment.tuning, rule=rule, thresholds={"mask_threshold": thresholds}
    )
    assert model.training, "it is given back as it came"
    expected = {"mask_threshold"} if isinstance(thresholds, float) else {f"mask_threshold.{k}" for k in "abc"}
    assert set(found.score.thresholds) == expected
    assert (found.observations.logits.image == assignment.tuning).all()
    with torch.no_grad():
        scores = method.predict(
            model.eval(), torch.from_numpy(tiny_collection().images[assignment.tuning] / 255.0).float()
        )
    np.testing.assert_allclose(found.observations.logits.scores, scores.scores.numpy(), rtol=1e-5)
