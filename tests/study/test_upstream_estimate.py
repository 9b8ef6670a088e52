"""What the work that trials share would take, and a declaration of it that no study can be made of."""

from __future__ import annotations

import sys

import pytest
import torch
from e2e.shared import Shared, SharedConfig, Teacher

from raysearch.errors import MethodError
from raysearch.method import Upstream
from raysearch.study import Cluster, Prepared, Request, prepare
from raysearch.study._estimate import estimate
from raysearch.study._upstream import shared_work
from raysearch.study._upstream_estimate import _extended, count_work


def prepared(*fixes: str, samples: int = 6) -> Prepared:
    torch.set_num_threads(1)
    request = Request(
        method="e2e.shared:Shared", data="phantom:images=80,size=32", fixes=("wish=work", *fixes), samples=samples,
        epochs=2, annotated=0.2, slots=2,
    )  # fmt: skip
    return prepare(request, Cluster(None))


def test_shared_work_is_counted_by_what_differs() -> None:
    assert count_work(prepared("teacher_lr=0.1", "cut=0.5")) == {"teacher": 1, "labels": 1}
    assert count_work(prepared("cut=0.5")) == {"teacher": 2, "labels": 2}
    assert count_work(prepared("teacher_lr=0.1")) == {"teacher": 1, "labels": 6}


def test_settings_that_the_methods_own_code_fails_on_are_left_to_their_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """The study's process must not end with the traceback of one trial."""
    monkeypatch.setattr(Shared, "upstream", classmethod(lambda cls, config: {"work": ()}[config.wish]))
    assert shared_work(Shared, {"wish": "work"}, 0) == []
    assert shared_work(Shared, {"wish": "nan"}, 0) == []
    monkeypatch.setattr(Shared, "upstream", classmethod(lambda cls, config: sys.exit("bye")))
    assert shared_work(Shared, {"wish": "work"}, 0) == []


def test_the_estimate_has_shared_work_beside_the_trials() -> None:
    found = estimate(prepared("teacher_lr=0.1"))
    teacher, labels = found.shared
    assert (teacher.name, teacher.times, labels.name, labels.times) == ("teacher", 1, "labels", 6)
    assert teacher.seconds > 0
    assert labels.bytes > 1000
    shared = teacher.seconds + 3 * labels.seconds
    assert found.total_seconds == pytest.approx(25 + shared + 3 * found.trial_seconds)
    assert found.disk > 6 * labels.bytes


def test_what_grows_with_the_images_is_extended_to_all_of_them() -> None:
    assert _extended(30, 50, (10, 20, 100)) == 210
    assert _extended(50, 50, (10, 20, 100)) == 50
    assert _extended(60, 50, (10, 20, 100)) == 50, "a slower first time says nothing"


def test_a_wrong_declaration_is_found_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def upstream(cls: type[Shared], config: SharedConfig) -> tuple[type[Upstream], ...]:
        return (type("Wrong", (Teacher,), {"fields": ("teacher",)}),)

    monkeypatch.setattr(Shared, "upstream", classmethod(upstream))
    with pytest.raises(MethodError, match="upstream work 'teacher': depends on 'teacher', which is no field"):
        prepared()
