"""Thresholds solved again from what a finished study keeps: the study's own numbers by its own metric, and others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from export.finished_studies import copy_of_finished, new_study

from raysearch.errors import StudyError, UserError
from raysearch.study import Study, Table, corrected_winner, read_records, rethreshold
from raysearch.thresholds import (
    METRICS,
    Counts,
    SweepMetric,
    cross_fit,
    encode_evidence,
    find_metric,
    load_evidence,
    solve,
)


@pytest.fixture
def study(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return copy_of_finished(tmp_path_factory.getbasetemp(), tmp_path)


def best_npz(study: Study, number: int) -> Path:
    return study.trial(number).path / "evidence" / "best.npz"


def counts_of(study: Study, number: int) -> Counts:
    found = load_evidence(best_npz(study, number), ["counts"])["counts"]
    assert isinstance(found, Counts)
    return found


def test_the_studys_own_metric_gives_what_the_study_recorded(study: Study) -> None:
    table = rethreshold(study, metrics=["f1_plus"])
    for row, record in zip(sorted(table.rows, key=lambda row: row.number), read_records(study), strict=True):
        assert row.value == record.value == row.optima["f1_plus"].value
        assert row.optima["f1_plus"].thresholds == record.result["thresholds"]
        assert row.weights
    assert [row.value for row in table.rows] == sorted((row.value for row in table.rows), reverse=True)
    assert table.winners == {"f1_plus": table.rows[0].number}
    assert table.problems == ()


@pytest.mark.parametrize("per_class", [False, True])
def test_any_metric_is_solved_and_cross_fitted_on_the_stored_evidence(study: Study, per_class: bool) -> None:
    names = ["iou", "iou_accuracy@0.05", "iou_pooled:classes"]
    table = rethreshold(study, metrics=names, per_class=per_class)
    assert table.metrics == tuple(names)
    for name in names:
        metric = find_metric(name)
        assert isinstance(metric, SweepMetric)
        values = {}
        for row in table.rows:
            counts, found = counts_of(study, row.number), row.optima[name]
            fit = cross_fit(counts, metric, seed=study.config.seed, per_class=per_class)
            solution = solve(counts, metric, per_class=per_class)
            keys = [f"mask_threshold.{label}" for label in study.config.classes] if per_class else ["mask_threshold"]
            assert list(found.thresholds) == keys
            assert found.thresholds[keys[-1]] == solution.thresholds[study.config.classes[-1]]
            assert (found.value, found.low <= found.high) == (fit.value, True)
            values[row.number] = fit.value
        assert values[table.winners[name]] == max(values.values())


def test_a_winner_is_corrected_for_the_choice_by_its_metric(study: Study) -> None:
    """By the study's own among all epochs, by another among the trials' judged ones; a trial alone was not chosen."""
    table = rethreshold(study, metrics=["f1_plus", "iou"])
    assert table.corrected["f1_plus"] == corrected_winner(study, read_records(study))
    by_iou, rows = table.corrected["iou"], {row.number: row.optima["iou"].value for row in table.rows}
    assert (by_iou.number, by_iou.naive) == (table.winners["iou"], max(rows.values()))
    assert by_iou.value.mean <= by_iou.naive
    assert rethreshold(study, trial=1).corrected == {}


def test_patients_are_halved_by_the_studys_seed(study: Study) -> None:
    values = set()
    for seed in (0, 5):
        other = Study(study.path, replace(study.config, seed=seed))
        optimum = rethreshold(other, metrics=["iou"], trial=0).rows[0].optima["iou"]
        metric = find_metric("iou")
        assert isinstance(metric, SweepMetric)
        assert optimum.value == cross_fit(counts_of(study, 0), metric, seed=seed).value
        values.add(optimum.value)
    assert len(values) == 2


def test_without_a_metric_the_studys_own_ranks_and_the_others_stand_beside(study: Study) -> None:
    table = rethreshold(study)
    assert table.metrics[0] == "f1_plus"
    assert {"iou", "iou_pooled:classes", "iou_accuracy"} <= set(table.metrics)
    assert not {"auc", "recall", "precision"} & set(table.metrics)
    assert set(table.winners) == set(table.metrics)


def test_the_winner_depends_on_the_metric(study: Study) -> None:
    """Trial 0 finds half of every object, trial 1 all of one in four and nothing else."""
    rng = np.random.default_rng(0)
    images, labels = 24, len(study.config.classes)
    masks = np.zeros((images, labels, 8, 8), np.uint8)
    masks[..., 2:6, 2:6] = 1
    truth = np.full((images, labels), -1, np.int8)
    truth[np.arange(images), rng.integers(0, labels, images)] = 1
    half, few = np.zeros_like(masks), np.zeros_like(masks)
    half[..., 2:4, 2:6] = 255
    few[::4] = 255 * masks[::4]
    patients = np.array([f"p{n}" for n in range(images)])
    for number, maps in enumerate((half, few)):
        counts = Counts.from_maps(maps, masks, truth, np.arange(images), patients, study.config.classes)
        best_npz(study, number).write_bytes(encode_evidence({"counts": counts}, study.config.origin))
    table = rethreshold(study, metrics=["iou_accuracy@0.9", "f1_plus"])
    assert table.winners == {"iou_accuracy@0.9": 1, "f1_plus": 0}
    assert [row.number for row in table.rows] == [1, 0]
    values = {row.number: row.optima for row in table.rows}
    assert values[0]["f1_plus"].value == pytest.approx(2 / 3)
    assert values[1]["iou_accuracy@0.9"].value == pytest.approx(0.25)
    assert values[1]["iou_accuracy@0.9"].low < 0.25 < values[1]["iou_accuracy@0.9"].high


def test_a_metric_without_a_threshold_has_a_value_alone(study: Study) -> None:
    table = rethreshold(study, metrics=["classification_error"])
    recorded = {r.number: r.result["metrics"]["classification_error"] for r in read_records(study)}
    assert {row.number: row.optima["classification_error"].value for row in table.rows} == pytest.approx(recorded)
    assert all(row.optima["classification_error"].thresholds == {} for row in table.rows)
    best = min(recorded.values())
    assert recorded[table.winners["classification_error"]] == best


def test_evidence_that_was_not_kept_is_named(study: Study) -> None:
    message = (
        "trials 0, 1 kept no evidence of kind components, which box_iou needs: tune with --keep-evidence components"
    )
    with pytest.raises(StudyError) as raised:
        rethreshold(study, metrics=["box_iou"])
    assert message in str(raised.value)
    table = rethreshold(study, metrics=["box_iou", "iou"])
    assert (table.metrics, table.problems) == (("iou",), (message,))


def test_damaged_evidence_of_one_trial_leaves_the_others(study: Study) -> None:
    path = best_npz(study, 0)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    (problem,) = only_trial_1(rethreshold(study, metrics=["iou", "f1_plus"]))
    assert problem.startswith(f"trial 0 cannot be judged: {path}: not readable as evidence")
    path.unlink()
    (problem,) = only_trial_1(rethreshold(study, metrics=["iou"]))
    assert problem.startswith(f"trial 0 cannot be judged: {path}: no evidence there")
    best_npz(study, 1).write_bytes(b"")
    with pytest.raises(StudyError, match=r"trial 0 cannot be judged: .*; trial 1 cannot be judged: ") as raised:
        rethreshold(study)
    assert "\n" not in str(raised.value)


def test_evidence_of_another_method_is_refused(study: Study) -> None:
    counts = counts_of(study, 0)
    other = replace(counts, classes=tuple(f"other {name}" for name in study.config.classes))
    for part, origin, says in (
        (other, study.config.origin, "other nodule"),
        (counts, "unet on phantom", "evidence of unet on phantom, expected cam_avg on phantom"),
    ):
        best_npz(study, 0).write_bytes(encode_evidence({"counts": part}, origin))
        (problem,) = only_trial_1(rethreshold(study, metrics=["iou"]))
        assert "trial 0 cannot be judged" in problem
        assert says in problem


def only_trial_1(table: Table) -> tuple[str, ...]:
    assert [row.number for row in table.rows] == [1]
    assert all("\n" not in problem for problem in table.problems)
    return table.problems


def test_what_cannot_be_asked_for(study: Study, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--metric ioi: unknown metric; did you mean 'iou'"):
        rethreshold(study, metrics=["ioi"])
    with pytest.raises(UserError, match=r"--metric recall: .*a mask of the whole image wins"):
        rethreshold(study, metrics=["recall"])
    with pytest.raises(StudyError, match=r"study 'done' has no trial 7: 'raysearch status .*done'"):
        rethreshold(study, trial=7)
    with pytest.raises(StudyError, match="has no complete trial yet"):
        rethreshold(new_study(tmp_path / "new", name="new"))


def test_one_trial_and_nothing_is_written(study: Study) -> None:
    before = {path: path.stat().st_mtime_ns for path in study.path.rglob("*")}
    table = rethreshold(study, trial=1)
    assert [row.number for row in table.rows] == [1]
    assert set(table.winners.values()) == {1}
    assert {path: path.stat().st_mtime_ns for path in study.path.rglob("*")} == before


def test_weights_that_are_gone_are_told(study: Study) -> None:
    study.trial(0).best.unlink()
    assert {row.number: row.weights for row in rethreshold(study).rows} == {0: False, 1: True}


def test_needs_neither_torch_nor_ray_nor_images(study: Study) -> None:
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['torch', 'torchvision', 'timm', 'ray', 'PIL', 'sklearn']))\n"
        "from raysearch.cli import main\n"
        "main(['rethreshold', 'done', '--metric', 'iou,auc', '--json'])"
    )
    environment = {**os.environ, "RAYSEARCH_STUDIES": str(study.path.parent)}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["metrics"] == ["iou", "auc"]


def test_every_metric_with_a_threshold_is_known_by_a_kind_that_can_be_kept() -> None:
    from raysearch.study._evidence import OPTIONAL

    needed = {metric.evidence for metric in METRICS.values()}
    assert needed <= {"counts", "logits", *OPTIONAL}
