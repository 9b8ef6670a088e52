"""Work that trials share: its key, its training, its outcome."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from e2e.shared import Careless, Labels, Shared, SharedConfig, Teacher

from raysearch.data import DataSpec, guard, open_collection
from raysearch.data._pool import pool_of
from raysearch.errors import MethodError, RaysearchError, StudyError
from raysearch.method import Outcome, Task, Upstream, Work, upstream_plan
from raysearch.testing import MethodContract
from raysearch.training import Alone, Assignment, NonFiniteLossError, Workload
from raysearch.training import _upstream as module
from raysearch.training._upstream import (
    Outcomes,
    PoolImages,
    UpstreamTrainer,
    decode_outcome,
    encode_outcome,
)
from training.tiny import CLASSES, SIZE, tiny_assignment, tiny_collection

TASK = Task(classes=CLASSES, view="single", channels=1, size=(SIZE, SIZE))


class TestShared(MethodContract):
    method = Shared
    config: ClassVar = {"teacher_epochs": 1, "batch": 6}


def keys(seed: int = 0, **config: Any) -> dict[str, str]:
    return {work["name"]: work["key"] for work in upstream_plan(Shared, SharedConfig(**config), seed)}


def test_the_key_is_that_of_what_the_work_depends_on() -> None:
    plain = keys()
    assert keys(lr=0.7) == plain
    assert keys(cut=0.4)["teacher"] == plain["teacher"]
    assert keys(cut=0.4)["labels"] != plain["labels"]
    changed = keys(teacher_lr=0.2)
    assert changed["teacher"] != plain["teacher"]
    assert changed["labels"] != plain["labels"], "what an input depends on"
    assert not set(keys(seed=1).values()) & set(plain.values())


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"fields": ("lrr",)}, "'lrr', which is no field of SharedConfig"),
        ({"inputs": ("labels",)}, "its input 'labels' is none of the work before it"),
        ({"name": "../up"}, "expected a name of its own"),
    ],
)
def test_what_is_declared_wrongly_is_refused(
    attributes: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong: type[Upstream] = type("Wrong", (Teacher,), attributes)
    monkeypatch.setattr(Shared, "upstream", classmethod(lambda cls, config: (wrong,)))
    with pytest.raises(MethodError, match=message):
        upstream_plan(Shared, SharedConfig(), 0)


def test_a_training_reads_all_work_unless_it_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    def read() -> list[str]:
        return [work["name"] for work in upstream_plan(Shared, SharedConfig(), 0) if work["read"]]

    every = keys()
    assert read() == ["teacher", "labels"]
    monkeypatch.setattr(Shared, "inputs", classmethod(lambda cls, config: ("labels",)))
    assert read() == ["labels"]
    assert keys() == every, "what is left does not depend on who reads it"
    monkeypatch.setattr(Shared, "inputs", classmethod(lambda cls, config: ("labels", "lables")))
    with pytest.raises(
        MethodError, match=r"^method shared: its input 'lables' is none of its upstream work \(teacher, l"
    ):
        read()


def test_loss_thresholds_are_no_field_of_shared_work() -> None:
    with pytest.raises(MethodError, match="depends on 'tau', a loss threshold"):
        upstream_plan(Careless, SharedConfig(), 0)


def test_two_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shared, "upstream", classmethod(lambda cls, config: (Teacher, Teacher)))
    with pytest.raises(MethodError, match="a name of its own"):
        upstream_plan(Shared, SharedConfig(), 0)


def teacher(key: str = "0" * 64, **config: Any) -> UpstreamTrainer:
    return UpstreamTrainer(Teacher(SharedConfig(batch=5, **config), TASK), tiny_assignment(), key=key)


def trained(trainer: UpstreamTrainer) -> Outcome:
    while trainer.epoch < trainer.epochs:
        trainer.train_epoch()
    return trainer.outcome()


def assert_equal(left: Outcome, right: Outcome) -> None:
    assert left.keys() == right.keys()
    assert all(torch.equal(value, right[name]) for name, value in left.items())


def test_it_trains_its_own_epochs_and_is_keyed_by_its_key() -> None:
    first = teacher(teacher_epochs=2)
    assert first.epochs == 2
    assert_equal(trained(first), trained(teacher(teacher_epochs=2)))
    other = trained(teacher(key="1" * 64, teacher_epochs=2))
    assert not torch.equal(first.outcome()["weight"], other["weight"])


def test_it_goes_on_from_its_last_epoch() -> None:
    calm = trained(teacher())
    begun = teacher()
    begun.train_epoch()
    resumed = teacher()
    resumed.load(begun.state())
    assert resumed.epoch == 1
    assert_equal(trained(resumed), calm)


def images(annotated: np.ndarray[Any, Any] | None = None) -> PoolImages:
    given = tiny_assignment()
    collection = guard(given.collection, np.concatenate([given.train, given.tuning]))
    return PoolImages(collection, pool_of(collection, given.train, annotated), torch.device("cpu"))


def test_images_come_in_the_order_that_is_asked_for() -> None:
    rows = np.array([4, 1, 1, 12, 0])
    parts = list(images().batches(rows, 2))
    assert [len(part) for part, _ in parts] == [2, 2, 1]
    assert np.concatenate([part for part, _ in parts]).tolist() == rows.tolist()
    torch.testing.assert_close(
        torch.cat([batch for _, batch in parts]), torch.from_numpy(tiny_collection().images[rows]) / 255
    )


def test_regions_are_those_that_the_study_shows() -> None:
    rows = np.array([3, 2, 5])
    masks, truth = images(annotated=np.array([2, 5])).regions(rows)
    collection = tiny_collection()
    assert (truth[0] == -1).all()
    assert torch.equal(truth[1:], torch.from_numpy(collection.truth[[2, 5]]))
    assert torch.equal(masks, torch.from_numpy(collection.masks[[2, 5]]).float())


@pytest.mark.parametrize("row", [13, 23])
def test_images_of_other_splits_cannot_be_reached(row: int) -> None:
    for ask in (lambda: list(images().batches(np.array([0, row]), 2)), lambda: images().regions(np.array([row]))):
        with pytest.raises(RaysearchError, match=f"asked for row {row}, which is none of the 13 training images"):
            ask()


def outcome(value: float, size: int = 4) -> Outcome:
    return {"x": torch.full((size,), value)}


def test_a_worker_holds_a_bounded_number_of_outcomes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PLACES", 2)
    held = Outcomes()
    for key in "abc":
        assert held.lacking([key]) == [key]
        held.hold(key, outcome(1))
    assert held.lacking(["b", "c"]) == []
    assert held.lacking(["a", "c"]) == ["a"], "who was asked for longest ago goes"
    held.hold("a", outcome(1))
    assert held.lacking(["a", "b", "c"]) == ["b"]


def test_a_worker_holds_a_bounded_number_of_bytes_and_what_is_wanted() -> None:
    held = Outcomes(limit=100)
    held.lacking(["a"])
    held.hold("a", outcome(1, size=16))
    assert held.lacking(["b", "c"]) == ["b", "c"]
    held.hold("b", outcome(2, size=16))
    held.hold("c", outcome(3, size=16))
    assert held.lacking(["a", "b", "c"]) == ["a"], "a trial that needs more than the limit gets it"
    assert held["c"]["x"][0] == 3


def test_a_view_does_not_take_its_whole_storage_along() -> None:
    class Narrow(Teacher):
        def outcome(self, model: Any, images: Any) -> Outcome:
            return {"x": torch.zeros(1 << 20)[:4], "y": torch.ones(3, requires_grad=True)}

    left = UpstreamTrainer(Narrow(SharedConfig(batch=5), TASK), tiny_assignment(), key="0" * 64).outcome()
    assert len(encode_outcome(left, "k")) < 4000
    assert not left["y"].requires_grad


def test_a_damaged_outcome_is_one_line() -> None:
    whole = encode_outcome(outcome(1), "key")
    assert_equal(decode_outcome(whole, "key", "x.pt"), outcome(1))
    for data, key in ((whole[:100], "key"), (whole, "other"), (b"", "key")):
        with pytest.raises(StudyError, match=r"^up/x\.pt is not .*; delete it and it is made again$") as raised:
            decode_outcome(data, key, "up/x.pt")
        assert "\n" not in str(raised.value)


# -- the commands of a worker

DATA = "phantom:images=40,size=32"


@pytest.fixture
def workload() -> Workload:
    torch.set_num_threads(1)
    collection = open_collection(DataSpec.parse(DATA), "single")
    rows = np.arange(len(collection))
    spec = {
        "method": "e2e.shared:Shared", "data": DATA, "fingerprint": collection.fingerprint,
        "train": rows[:20], "tuning": rows[20:32], "seed": 1,
        "annotated": rows[:4], "labelled": rows[:20], "origin": "test", "epochs": 2,
        "rule": {"metric": "f1_plus", "decision": "solve", "per_class": False, "seed": 1},
    }  # fmt: skip
    return Workload(spec, device=torch.device("cpu"), collective=Alone())


def plan(**config: Any) -> dict[str, Work]:
    return {work["name"]: work for work in upstream_plan(Shared, SharedConfig(**config), 1)}


def take(workload: Workload, work: Work, checkpoint: bytes | None = None, **config: Any) -> dict[str, int]:
    told = {"name": work["name"], "key": work["key"], "inputs": work["inputs"]}
    answer: dict[str, int] = workload.run(
        "upstream", {**told, "config": config, "checkpoint": checkpoint, "where": "x.partial"}
    )
    return answer


def start(workload: Workload, works: dict[str, Work], **config: Any) -> None:
    assert workload.run("start", {
        "number": 0, "config": config, "checkpoint": None, "epoch": 0, "kept": None, "round": None,
        "exploited": None, "outcomes": {name: work["key"] for name, work in works.items()},
    })  # fmt: skip


def do(workload: Workload, work: Work, **config: Any) -> bytes:
    told = take(workload, work, **config)
    for _ in range(told["epochs"]):
        workload.run("upstream_epoch", None)
    made: bytes = workload.run("upstream_outcome", None)["outcome"]
    workload.run("hold", {"key": work["key"], "outcome": made, "where": "x.pt"})
    return made


def test_a_worker_does_what_trials_share_and_hands_it_on(workload: Workload) -> None:
    works = plan(batch=5)
    assert workload.run("lacking", [works["teacher"]["key"]]) == [works["teacher"]["key"]]
    made = do(workload, works["teacher"], batch=5)
    assert workload.run("lacking", [works["teacher"]["key"]]) == []
    do(workload, works["labels"], batch=5)
    start(workload, works, batch=5)
    assert workload._trainer is not None
    weight = decode_outcome(made, works["teacher"]["key"], "")["weight"]
    assert torch.equal(workload._trainer.model.state_dict()["weight"], weight)
    row = workload.run("epoch", {"mask_threshold": 0.5})["row"]
    assert row["losses"]["known"] == 1, "the teacher's labels are those of images that nobody annotated"


def test_a_parked_trial_gets_its_outcomes_again(workload: Workload) -> None:
    works = plan(batch=5)
    for work in works.values():
        do(workload, work, batch=5)
    start(workload, works, batch=5)
    workload.run("epoch", {"mask_threshold": 0.5})
    workload.run("park", None)
    assert workload.run("start", {
        "number": 0, "config": {"batch": 5}, "checkpoint": None, "epoch": 1, "kept": None, "round": None,
        "exploited": None, "outcomes": {name: work["key"] for name, work in works.items()},
    })  # fmt: skip
    assert workload._trainer is not None
    assert set(workload._trainer.method.outcomes) == {"teacher", "labels"}


def test_it_goes_on_in_another_worker(workload: Workload) -> None:
    work = plan(batch=5)["teacher"]
    calm = do(workload, work, batch=5)
    take(workload, work, batch=5)
    state = workload.run("upstream_epoch", None)["checkpoint"]
    workload.run("end", None)
    assert take(workload, work, state, batch=5) == {"epoch": 1, "epochs": 3}
    for _ in range(2):
        workload.run("upstream_epoch", None)
    assert workload.run("upstream_outcome", None)["outcome"] == calm
    with pytest.raises(StudyError, match=r"^x\.partial is not a checkpoint .* delete it and it is made again$"):
        take(workload, work, state[:50], batch=5)


def test_a_loss_that_is_not_finite_is_said(workload: Workload) -> None:
    take(workload, plan(batch=5, wish="nan")["teacher"], batch=5, wish="nan")
    workload.run("upstream_epoch", None)
    with pytest.raises(NonFiniteLossError, match="non-finite loss in epoch 2"):
        workload.run("upstream_epoch", None)


def test_the_outcome_of_what_is_not_trained(workload: Workload) -> None:
    given: Assignment = workload._assignment
    made = UpstreamTrainer(
        _labels({"weight": torch.ones(3, 1), "bias": torch.zeros(3)}, given), replace(given), key="0" * 64
    ).outcome()
    assert made["rows"].tolist() == list(range(4, 20)), "those that nobody annotated"


def _labels(weights: Outcome, given: Assignment) -> Labels:
    collection = given.collection
    task = Task(classes=collection.classes, view="single", channels=collection.channels, size=collection.size)
    k = len(collection.classes)
    labels = Labels(SharedConfig(batch=5), task)
    labels.outcomes = {"teacher": {"weight": weights["weight"][:1].expand(k, 1), "bias": torch.zeros(k)}}
    return labels
