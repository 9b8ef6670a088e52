"""What a request about loss thresholds, shares and evidence becomes in study.yaml."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raysearch.errors import UserError
from raysearch.study import Cluster, Prepared, Request, StudyConfig, open_study, prepare, read_parts, save_study
from raysearch.study._data import boundless
from raysearch.study._workload_spec import workload_spec

THRESHOLDS = ("tau", "rho", "tau_hat", "rho_hat")
FIXED = ("tau=0.6", "rho=0.2", "tau_hat=0.1", "rho_hat=0.05")


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("RAYSEARCH_STUDIES", str(tmp_path))

    def prepared(method: str = "limited_annotation", **request: Any) -> Prepared:
        small = {"data": "phantom:images=60,size=32", "slots": 1, "gpus_per_worker": 0.0, "fixes": ("batch=8",)}
        return prepare(Request(method=method, **(small | request)), Cluster())

    return prepared


def test_loss_thresholds_alternate_unless_told_otherwise(prepared: Any) -> None:
    study = prepared()
    config: StudyConfig = study.config
    assert (config.loss_thresholds, config.alternate, config.round_epochs) == ("alternate", "criterion", 3)
    assert (config.slack_weight, config.metric, study.space.alternated) == (0.5, "iou", THRESHOLDS)
    assert not {*THRESHOLDS} & {*study.space.searched}
    settings = study.space.split(study.space.defaults())[0]
    assert settings["rho_hat"] < settings["tau_hat"]
    asked = prepared(alternate="quantile", round_epochs=2, epochs=4, metric="iou_accuracy@0.3").config
    assert (asked.alternate, asked.round_epochs, asked.metric) == ("quantile", 2, "iou_accuracy@0.3")


def test_sampled_and_fixed_thresholds_do_not_alternate(prepared: Any) -> None:
    for mode in ("sample", "fixed"):
        study = prepared(loss_thresholds=mode, epochs=2)
        assert (study.config.loss_thresholds, study.config.alternate, study.space.alternated) == (mode, None, ())
        assert ({*THRESHOLDS} <= {*study.space.searched}) == (mode == "sample")
    assert prepared("cam_avg").config.alternate is None
    assert prepared(fixes=("batch=8", *FIXED), epochs=2).config.alternate is None


def test_thresholds_that_only_search_can_move_are_moved_by_it(prepared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    study = prepared(fixes=("batch=8", *FIXED[1:]))
    # tau alone is half of what criterion works from
    assert (study.space.alternated, study.config.alternate) == (("tau",), "search")
    with pytest.raises(UserError, match=r"--alternate criterion: none of tau bounds .*use --alternate search"):
        prepared(fixes=("batch=8", *FIXED[1:]), alternate="criterion")


def test_a_threshold_without_a_range_cannot_alternate(prepared: Any) -> None:
    with pytest.raises(UserError, match=r"--set tau=choice:0.5,0.7: tau has the values .*--set tau=float:LOW:HIGH"):
        prepared(sets=("tau=choice:0.5,0.7",))
    assert "tau" in prepared(sets=("tau=choice:0.5,0.7",), loss_thresholds="sample").space.searched


def test_warnings_of_split_and_regions_are_shown(prepared: Any) -> None:
    study = prepared()
    assert any("tuning has fewer than 50 images" in warning for warning in study.warnings)
    assert not any("whole image" in warning for warning in study.warnings)
    every = replace(study.collection, masks=np.ones_like(study.collection.masks))
    (warning,) = boundless(study.method, every, study.annotation)
    assert "cover the whole image" in warning
    assert boundless(prepared("cam_avg").method, every, study.annotation) == []


def test_evidence_is_what_something_needs(prepared: Any) -> None:
    assert prepared("cam_avg").config.evidence == ["counts", "logits"]
    assert prepared().config.evidence == ["counts", "regions", "logits"]
    assert prepared("cam_avg", metric="box_iou").config.evidence == ["counts", "components", "logits"]
    kept = prepared("cam_avg", keep_evidence="maps,ranks").config.evidence
    assert kept == ["counts", "ranks", "logits", "maps"]


def test_shares_are_recorded_and_reach_the_workers(prepared: Any, tmp_path: Path) -> None:
    study = prepared(name="shares", annotated=0.1, unannotated=0.5, epochs=6)
    train = study.split.train
    save_study(study)
    saved = open_study("shares", tmp_path)
    assert (saved.config.annotated, saved.config.unannotated) == (0.1, 0.5)
    parts = read_parts(saved)
    assert len(parts["annotated"]) == round(0.1 * len(train))
    assert {*parts["annotated"]} < {*parts["train"]} < {*train}
    assert {*parts["train"], *parts["unused"]} == {*train}
    spec = workload_spec(saved)
    for name, rows in (("train", study.annotation.train), ("annotated", study.annotation.annotated)):
        np.testing.assert_array_equal(np.sort(parts[name]), rows)
        np.testing.assert_array_equal(spec[name], parts[name])
    assert not {*parts["test"]} & {*spec["train"], *spec["tuning"], *spec["annotated"]}


def test_without_a_share_every_training_image_keeps_its_regions(prepared: Any, tmp_path: Path) -> None:
    study = prepared(name="all", epochs=6)
    save_study(study)
    parts = read_parts(open_study("all", tmp_path))
    np.testing.assert_array_equal(parts["annotated"], study.split.train)
    assert not len(parts["unused"])


def test_a_share_that_reaches_no_class_is_noted(prepared: Any) -> None:
    study = prepared(annotated=0.03, epochs=6)
    assert any("--annotated 0.03 leaves no annotated image of" in warning for warning in study.warnings)
