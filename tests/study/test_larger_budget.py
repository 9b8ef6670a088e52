"""What `resume` may change of a study that is there: more of everything, and where it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from search.toy import Toy, toy_study

from raysearch.errors import UserError
from raysearch.space import load_space
from raysearch.study import Book, Changes, Machine, Resources, Study, extend, open_study, this_machine
from raysearch.study._resources import GIB
from study.test_book import epoch


@pytest.fixture(autouse=True)
def studies_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies in it are called by their names."""
    monkeypatch.setenv("RAYSEARCH_STUDIES", str(tmp_path))


def test_a_study_that_searches_nothing_has_one_trial(tmp_path: Path) -> None:
    space = load_space(Toy, "small").for_classes(["a", "b"])
    fixed = space.override(fixes=("lr=0.1", "mode=plain", "depth=2", "tau=0.9"))
    assert not fixed.searched
    study = toy_study(tmp_path, samples=1, space=fixed.to_dict())
    with pytest.raises(UserError, match=r"^--samples 10: nothing is searched, .* leave --samples out$"):
        extend(study, Changes(samples=10), this_machine())
    assert open_study("toy", tmp_path).config.budget.samples == 1
    assert extend(study, Changes(samples=1), this_machine()) == study


def test_a_grid_has_no_more_trials_than_points(tmp_path: Path) -> None:
    space = load_space(Toy, "small").for_classes(["a", "b"])
    listed = space.override(sets=("lr=choice:0.1,0.2",), fixes=("mode=plain", "depth=2", "tau=0.9"))
    study = toy_study(tmp_path, samples=1, sampler="grid", space=listed.to_dict())
    with pytest.raises(UserError, match="--samples 3: the grid has 2 points"):
        extend(study, Changes(samples=3), this_machine())
    assert extend(study, Changes(samples=2), this_machine()).config.budget.samples == 2


BIG = Machine(cpus=8, gpus=2, memory=64 * GIB)
LAPTOP = Machine(cpus=2, gpus=0, memory=16 * GIB)


def begun(root: Path, **changes: Any) -> Study:
    """A study with a trial of three seconds behind it, and another one before it."""
    study = toy_study(root, samples=2, **changes)
    book = Book(study)
    number = book.next().number
    book.report(number, epoch(study, number, 0.5))
    book.close(number, "complete")
    return study


def refused(study: Study, machine: Machine = BIG, **changes: Any) -> str:
    before = (study.path / "study.yaml").read_text()
    with pytest.raises(UserError) as error:
        extend(study, Changes(**changes), machine)
    assert (study.path / "study.yaml").read_text() == before
    assert "\n" not in str(error.value)
    return str(error.value)


def test_every_change_is_written_down(tmp_path: Path) -> None:
    study = begun(tmp_path, seconds=3600.0)
    changes = Changes(
        samples=5, time_budget="30m", trial_time="90s", step_time="1h", workers_per_trial=2, cpus_per_worker=2,
        gpus_per_worker=1.0, slots=2,
    )  # fmt: skip
    extended = extend(study, changes, Machine(cpus=8, gpus=4, memory=64 * GIB))
    assert extended == open_study("toy", tmp_path)
    assert extended.config.resources == Resources(workers=2, cpus=2, gpus=1.0, slots=2)
    budget = extended.config.budget
    assert (budget.seconds, budget.trial_seconds, budget.step_seconds) == (1800.0, 90.0, 3600.0)
    (note,) = extended.config.changes
    assert note.partition(": ")[2] == (
        "--samples 2 -> 5, --time 1h -> 30m, --trial-time no limit -> 1m30s, --step-time 30m -> 1h,"
        " --workers-per-trial 1 -> 2, --cpus-per-worker 1 -> 2, --gpus-per-worker 0 -> 1, --slots 1 -> 2"
    )
    again = extend(extended, Changes(slots=1), BIG)
    assert [change.partition(": ")[2] for change in again.config.changes[1:]] == ["--slots 2 -> 1"]
    assert extend(again, Changes(slots=1, samples=5), BIG) == again, "what does not change is no note"


def test_there_are_no_more_slots_than_trials(tmp_path: Path) -> None:
    assert extend(begun(tmp_path), Changes(slots=8), BIG).config.resources.slots == 2


def test_time_that_is_used_up(tmp_path: Path) -> None:
    study = begun(tmp_path, seconds=2.0)
    said = refused(study)
    assert (
        said == "the time of study 'toy' is used up: 3s of --time 2s; give it more: 'raysearch resume toy --time 10s'"
    )
    assert "3s of --time 3s" in refused(study, time_budget="3s")
    assert extend(study, Changes(time_budget="10s"), BIG).config.budget.seconds == 10.0


def test_less_time_than_was_used(tmp_path: Path) -> None:
    assert "3s of --time 1s" in refused(begun(tmp_path), time_budget="1s")


@pytest.mark.parametrize("option", ["--time", "--trial-time", "--step-time"])
def test_a_duration_that_is_none_names_its_option(tmp_path: Path, option: str) -> None:
    name = {"--time": "time_budget"}.get(option, option[2:].replace("-", "_"))
    study = begun(tmp_path)
    assert f"{option} 'soon': expected a duration" in refused(study, **{name: "soon"})
    assert f"{option} 0s: no time at all" in refused(study, **{name: "0s"})


def test_a_study_of_another_machine(tmp_path: Path) -> None:
    study = begun(tmp_path, resources=Resources(gpus=1.0, slots=2))
    assert "'raysearch resume toy --gpus-per-worker 0'" in refused(study, LAPTOP)
    assert "'raysearch resume toy --gpus-per-worker 0'" in refused(study, LAPTOP, samples=4)
    extended = extend(study, Changes(gpus_per_worker=0.0), LAPTOP)
    assert extended.config.resources == Resources(gpus=0.0, slots=2)
    assert extend(study, Changes(), BIG) == study


def test_a_study_that_is_done_needs_nothing_any_more(tmp_path: Path) -> None:
    study = toy_study(tmp_path, samples=1, seconds=1.0, resources=Resources(gpus=8.0))
    book = Book(study)
    number = book.next().number
    book.report(number, epoch(study, number, 0.5))
    book.close(number, "complete")
    assert extend(study, Changes(), LAPTOP) == study
    assert "needs" in refused(study, LAPTOP, samples=2)


def test_a_study_that_runs_is_not_changed(tmp_path: Path) -> None:
    study = begun(tmp_path)
    with study.hold():
        assert "being run by another process" in refused(study, samples=9)
