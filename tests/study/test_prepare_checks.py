"""What is found before a study starts: networks that cannot be built, images that a method cannot train on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from e2e.shared import Labels, Shared, Teacher
from torch import nn

from methods.layers.backbone import build_backbone
from raysearch.data import Collection
from raysearch.errors import DataError, MethodError, UserError
from raysearch.method import Augmentation, Pool, Prediction, predicted, takes_inside
from raysearch.space import Choice
from raysearch.study import Cluster, Prepared, Request, prepare


def prepared(method: str = "e2e.shared:Shared", *fixes: str, **request: Any) -> Prepared:
    given = {"data": "phantom:images=80,size=32", "annotated": 0.2, "slots": 2, "samples": 1}
    return prepare(Request(method=method, fixes=fixes, **(given | request)), Cluster(None))


@pytest.mark.parametrize("kind", [Teacher, Labels])
def test_networks_of_upstream_work_are_built(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(self: object) -> nn.Module:
        raise MethodError("no such weights")

    prepared()  # labels cannot be built yet: there is no teacher
    monkeypatch.setattr(kind, "build", build)
    with pytest.raises(MethodError, match="no such weights"):
        prepared()


@pytest.mark.parametrize("kind", [Teacher, Labels])
def test_a_mistake_in_upstream_work_is_not_taken_for_a_missing_outcome(
    kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(self: object) -> nn.Module:
        raise KeyError("resnet")

    monkeypatch.setattr(kind, "build", build)
    with pytest.raises(KeyError, match="resnet"):
        prepared()


@pytest.mark.parametrize(
    "given",
    [
        {"scheduler": "asha", "decision_thresholds": "solve"},
        {"scheduler": "asha", "decision_thresholds": "fixed"},
        {"scheduler": "fifo", "decision_thresholds": "sample"},
        {"scheduler": "asha", "decision_thresholds": "sample", "fixes": ("mask_threshold=0.4",)},
        {"scheduler": "asha", "decision_thresholds": "sample", "metric": "auc"},
    ],
)
def test_a_scheduler_may_compare_what_no_sampled_threshold_changes(given: dict[str, Any]) -> None:
    fixes = given.pop("fixes", ())
    found = prepared("cam_avg", *fixes, annotated=None, epochs=2, samples=8, **given)
    assert found.config.scheduler == given["scheduler"]


@pytest.mark.parametrize("metric", ["f1_plus", "iou_pooled:classes"])
def test_a_scheduler_that_would_compare_sampled_thresholds(metric: str) -> None:
    with pytest.raises(UserError, match="not whether the configuration is good"):
        prepared("cam_avg", annotated=None, samples=8, scheduler="asha", decision_thresholds="sample", metric=metric)


@pytest.mark.parametrize("field", ["classifier_weights", "encoder_classifier_weights", "irnet_weights"])
def test_a_weights_file_that_is_none(field: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"none")
    fixes = ("labels=irnet", "output_stride=16", f"{field}={path}")  # its encoder is another network
    with pytest.raises(MethodError, match=r"weights '.*weights.pth' cannot be read as a checkpoint"):
        prepared("chexseg", *fixes, annotated=10)
    with pytest.raises(MethodError, match=r"weights '/no.pth' not found"):
        prepared("chexseg", *fixes[:2], f"{field}=/no.pth", annotated=10)


def test_every_weights_file_that_is_searched_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(
        build_backbone("resnet10_slim", weights="random", in_channels=1, output_stride=8).network.state_dict(),
        "there.pth",
    )
    path = str(tmp_path / "there.pth")
    found = prepared("cam_avg", "weights=there.pth", annotated=None)
    assert found.default_method().config.weights == path  # trials run in folders of their own
    found = prepared("cam_avg", annotated=None, sets=("weights=choice:random,there.pth",))
    assert found.space.parameters["weights"].domain == Choice(choices=("random", path))


@pytest.mark.parametrize("name", ["weights", "irnet_weights"])
def test_a_searched_weights_file_that_is_missing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MethodError, match=rf"weights '{tmp_path}/none.pth' not found"):
        prepared("chexseg", "labels=irnet", "output_stride=16", annotated=10, sets=(f"{name}=choice:random,none.pth",))


def test_what_a_method_says_of_the_training_images(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Pool] = []

    def check(self: Shared, pool: Pool) -> list[str]:
        seen.append(pool)
        return ["few images"]

    monkeypatch.setattr(Shared, "check", check)
    found = prepared()
    assert found.warnings[-1] == "few images"
    assert seen[0].rows.tolist() == found.annotation.train.tolist()
    assert seen[0].rows[seen[0].annotated].tolist() == found.annotation.annotated.tolist()

    def refuse(self: Shared, pool: Pool) -> list[str]:
        raise DataError("no image")

    monkeypatch.setattr(Shared, "check", refuse)
    with pytest.raises(DataError, match="no image"):
        prepared()


@pytest.mark.parametrize("kind", [Shared, Teacher])
def test_images_that_cannot_be_augmented(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared()
    monkeypatch.setattr(kind, "augmentation", lambda self: Augmentation(crop=40))
    with pytest.raises(DataError, match=r"a random crop of 40 pixels does not fit into images of 32x32"):
        prepared()


@pytest.mark.parametrize("view", ["pad", "strong_pad"])
def test_padding_of_a_stream(view: str) -> None:
    prepared("enc_ssl", f"{view}=31", annotated=None, labelled=20, samples=8, epochs=6)
    with pytest.raises(DataError, match=r"32x32 cannot be padded by the reflection of 32 pixels: .* at most 31"):
        prepared("enc_ssl", f"{view}=32", annotated=None, labelled=20, samples=8, epochs=6)


def test_epochs_that_leave_a_stage_without_any() -> None:
    prepared("saliency_proposals", annotated=None, epochs=3)
    with pytest.raises(MethodError, match=r"epochs is 2: expected 3 or more, one for each of the stages"):
        prepared("saliency_proposals", annotated=None, epochs=2)
    with pytest.raises(MethodError, match="epochs is 2: expected 3 or more"):
        prepared("saliency_proposals", annotated=None, epochs=2, samples=8, scheduler="pbt", round_epochs=1)


def test_subsets_that_are_all_the_same_are_said() -> None:
    assert "the same ones whatever the subset" in prepared("chexseg", annotated=10).warnings[-1]
    assert not any("subset" in note for note in prepared("chexseg", "weak_maps=10", annotated=10).warnings)


def test_a_method_need_not_know_of_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told of it only where there is some, and refused before that if it takes no notice."""
    method = prepared().default_method()
    model, images, told = method.build(), torch.rand(2, 1, 32, 32), torch.ones(2, 32, 32, dtype=torch.bool)
    real = Shared.predict

    def predict(self: Shared, model: nn.Module, images: torch.Tensor) -> Prediction:
        return real(self, model, images, None)

    assert takes_inside(Shared)
    monkeypatch.setattr(Shared, "predict", predict)
    assert not takes_inside(Shared)
    assert predicted(method, model, images, None).maps.shape[0] == 2
    with pytest.raises(TypeError):
        predicted(method, model, images, told)
    prepared()
    monkeypatch.setattr(Collection, "areas_of", lambda self, rows: np.zeros((len(rows), 4), np.int32))
    with pytest.raises(MethodError, match=r"Shared\.predict takes no 'inside', .*fit=crop or fit=stretch"):
        prepared()
