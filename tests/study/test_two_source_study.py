"""A study of two sources: what is prepared, written down and told to the workers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raysearch.data import guard, load_collection, parse_data
from raysearch.errors import UserError
from raysearch.study import Cluster, Prepared, Request, open_study, prepare, read_parts, save_study
from raysearch.study._estimate import estimate
from raysearch.study._workload_spec import workload_spec
from raysearch.training._task import training_task

DATA = "cls=phantom:task=normal-vs-abnormal,images=60,size=32,seg=phantom:task=lungs,images=40,size=32"


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Prepared]:
    monkeypatch.setenv("RAYSEARCH_STUDIES", str(tmp_path))

    def ask(method: str = "multimix", **request: Any) -> Prepared:
        given = {"data": DATA, "labelled": 8, "annotated": 4, "epochs": 6, "fixes": ("batch=4",)}
        return prepare(Request(method=method, **(given | request)), Cluster())

    return ask


def test_both_sources_reach_the_workers(prepared: Callable[..., Prepared], tmp_path: Path) -> None:
    study = prepared(name="both")
    assert study.task.sources == ("cls", "seg")
    assert study.config.data == str(parse_data(DATA))
    assert study.config.classes == ["normal", "abnormal", "lungs"]
    save_study(study)
    saved = open_study("both", tmp_path)
    assert (saved.config.labelled, saved.config.annotated) == (8, 4)
    rows, spec = read_parts(saved), workload_spec(saved)
    of = study.collection.source_of
    for name, source, count in (("labelled", 0, 8), ("annotated", 1, 4)):
        assert len(spec[name]) == count
        assert (of[spec[name]] == source).all()
        assert {*spec[name]} <= {*rows["train"]}
    for part in ("train", "tuning", "test"):
        assert set(of[rows[part]]) == {0, 1}
        np.testing.assert_array_equal(np.sort(rows[part]), getattr(study.split, part))
    assert not {*rows["test"]} & {*np.concatenate([spec[key] for key in ("train", "tuning", "labelled", "annotated")])}


def test_the_balance_is_of_labels_that_are_seen(prepared: Callable[..., Prepared]) -> None:
    study = prepared()
    seen = guard(study.collection, np.concatenate([study.split.train, study.split.tuning]))
    task = training_task(seen, study.labelling.labelled)
    assert (task.sources, task.source_classes) == (("cls", "seg"), (0, 0, 1))
    assert task.positives == (1.0, 1.0, 1.0)  # 4 of 8 each; of lungs no label is known
    everything = training_task(seen, study.split.train)
    assert everything.positives != task.positives


def test_the_baseline_on_one_source_has_the_same_test_images(prepared: Callable[..., Prepared]) -> None:
    both = prepared(split_seed=3)
    alone = prepared("enc", data=DATA.partition(",seg=")[0].removeprefix("cls="), annotated=None, split_seed=3)
    of = both.collection.source_of
    np.testing.assert_array_equal(both.split.test[of[both.split.test] == 0], alone.split.test)
    np.testing.assert_array_equal(both.labelling.labelled, alone.labelling.labelled)


def test_the_preset_says_what_may_be_seen(prepared: Callable[..., Prepared]) -> None:
    study = prepared(labelled=None, annotated=None, data=None)
    budget = study.space.budget
    assert budget.labelled is not None
    assert (study.config.labelled, study.config.annotated) == (budget.labelled, budget.annotated)
    assert len(study.labelling.labelled) == budget.labelled
    every = prepared(labelled=1.0, fixes=("batch=4", "unlabelled=all"))
    assert len(every.labelling.labelled) == (every.collection.source_of[every.split.train] == 0).sum()


def test_a_probe_of_both(prepared: Callable[..., Prepared]) -> None:
    assert estimate(prepared()).trial_seconds > 0


def test_there_is_no_folder_to_open_both_by(prepared: Callable[..., Prepared]) -> None:
    collection = prepared().collection
    assert collection.folder == ""
    assert [load_collection(part.folder).classes for part in collection.parts] == [("normal", "abnormal"), ("lungs",)]


@pytest.mark.parametrize(
    ("method", "request_", "says"),
    [
        ("multimix", {"data": "phantom"}, "multimix trains on two sources; expected --data cls=...,seg=..."),
        ("multimix", {"data": "cls=phantom"}, "no source 'seg'; multimix needs --data cls=...,seg=..."),
        ("enc", {"annotated": None}, "enc trains on one source without a name; expected --data KIND:PATH"),
        ("multimix", {"labelled": 2.5}, "--labelled 2.5: expected a share of the training images from 0 to 1, or a"),
        ("multimix", {"labelled": 1e-3}, "--labelled 0.001 of 36 training images leaves no label of normal, abnormal"),
        ("multimix", {"labelled": 1.0}, "unlabelled=rest: all 36 training images to classify have a label"),
        ("multimix", {"annotated": 1.0}, "unlabelled=rest: all 24 training images to segment have a known region"),
        ("multimix", {"fixes": ("batch=99",)}, "batch 99 is larger than the 60 training images"),
        ("cam_avg", {"data": "phantom", "annotated": None, "fixes": ()}, "--labelled 8: cam_avg learns nothing from"),
    ],
)
def test_requests_that_do_not_fit(
    prepared: Callable[..., Prepared], method: str, request_: dict[str, Any], says: str
) -> None:
    with pytest.raises(UserError) as error:
        prepared(method, **request_)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
