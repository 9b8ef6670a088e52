"""A configuration is trained once; whoever asks for it again is answered from the record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raysearch.errors import StudyError
from raysearch.export._trial import chosen_trial
from raysearch.method import load_method
from raysearch.space import load_space
from raysearch.study._book import Book
from raysearch.study._mean_over import mean_over
from raysearch.study._records import read_records
from search.simulator import Killed, Machine, epochs_of, outcome, switched_off
from search.toy import Toy, toy_study


def narrow_study(path: Path, **changes: Any) -> Any:
    """Three choices and nothing else: twenty trials hold few that differ."""
    space = load_space(Toy, "small").override(["depth=choice:1,2", "mode=choice:plain,gated"], ["lr=0.1", "gate=0.5"])
    space = space.for_classes(["a", "b"]).with_modes(loss_thresholds="fixed")
    return toy_study(path, space=space.to_dict(), sampler="random", **{"samples": 20, **changes})


def trained(machine: Machine) -> set[int]:
    return {number for number, _ in machine.trained}


@pytest.mark.parametrize("scheduler", ["fifo", "asha", "hyperband"])
def test_each_configuration_is_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheduler: str) -> None:
    study = narrow_study(tmp_path, scheduler=scheduler, epochs=4)
    machine = Machine(monkeypatch)
    records = machine.run(study).records()
    assert len(records) == 20
    first: dict[str, int] = {}
    for record in records:
        same = first.setdefault(str(sorted(record.params.items())), record.number)
        if same == record.number:
            assert record.same_as is None
            assert record.epochs > 0 or record.state == "failed"
            continue
        one = records[same]
        assert (record.same_as, record.epochs) == (same, 0)
        assert (record.state, record.value) == (one.state, one.value)
        assert record.reason.startswith(f"same configuration as trial {same}, not trained again")
        assert ("ended", record.number, record.state, record.reason) in machine.events
    assert len(first) == 4
    assert trained(machine) <= set(first.values())
    failed = next(r for r in records if r.state == "failed" and r.same_as is not None)
    assert "failed: ValueError: no gate is so shallow" in failed.reason
    again = Book(study)
    assert (again.remaining, outcome(again.records())) == (0, outcome(records))
    assert outcome(read_records(study)) == outcome(records)


@pytest.mark.parametrize("scheduler", ["fifo", "hyperband"])
def test_switched_off_at_any_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheduler: str) -> None:
    search: dict[str, Any] = {"scheduler": scheduler, "samples": 6, "epochs": 3}
    machine = Machine(monkeypatch)
    calm = narrow_study(tmp_path / "calm", **search)
    with switched_off(monkeypatch, -1, torn=False) as writes:
        wanted = outcome(machine.run(calm).records())
    assert any("same configuration" in reason for *_, reason, _ in wanted)
    for write in range(0, len(writes), 4):
        study = narrow_study(tmp_path / f"hit{write}", **search)
        machine = Machine(monkeypatch)
        with pytest.raises(Killed), switched_off(monkeypatch, write, torn=bool(write % 2)):
            machine.run(study)
        assert outcome(machine.run(study).records()) == wanted, f"switched off at write {write} ({writes[write]})"
        assert epochs_of(study) == epochs_of(calm)


def test_one_that_is_being_trained_is_waited_for(tmp_path: Path) -> None:
    study = narrow_study(tmp_path, samples=30)
    book = Book(study)
    handed_out = []
    while (assigned := book.next()) is not None:
        handed_out.append(assigned)
    assert len(handed_out) == 4
    assert book.settled() == []
    waiting = book.untrained()
    assert len(waiting) == 26
    assert {a.number for a in handed_out}.isdisjoint(waiting)
    assert book.remaining == 0
    assert set(book.ended) == set(waiting)
    book.close(handed_out[0].number, "crashed", "its worker groups died")
    ended = book.settled()
    assert {state for _, state, _ in ended} == {"crashed"}
    assert set(book.untrained()) == set()
    again = Book(study)
    assert [a.number for a in again.queued] == [a.number for a in handed_out[1:]], "the others wait on"
    assert len(again.records()) == 30


def test_pbt_trains_all_of_its_population(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = narrow_study(tmp_path, samples=8, scheduler="pbt", epochs=4, round_epochs=2, mutable=[])
    machine = Machine(monkeypatch)
    records = machine.run(study).records()
    assert all(record.same_as is None for record in records)
    assert trained(machine) == {r.number for r in records if r.epochs}


def test_who_counts_trials_counts_trainings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = narrow_study(tmp_path)
    records = Machine(monkeypatch).run(study).records()
    (copy, *_) = [r for r in records if r.same_as is not None and r.state == "complete"]
    with pytest.raises(
        StudyError, match=rf"trial {copy.number} has the configuration of trial {copy.same_as}, .*--trial"
    ):
        chosen_trial(study, copy.number)
    groups = mean_over(records, "mode", maximise=True)
    assert all(records[number].same_as is None for group in groups for number in group.numbers)


def test_a_space_that_fails_for_one_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("spaces")
    (folder / "fickle_space.py").write_text(
        "import sys\n"
        "def space(trial):\n"
        "    lr = trial.suggest_float('lr', 1e-3, 1e-1, log=True)\n"
        "    if trial.number == 2:\n"
        "        raise RuntimeError('not\\nthis one')\n"
        "    if trial.number == 3:\n"
        "        sys.exit(3)\n"
        "    return {'lr': lr}\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    space = load_space(load_method("search.toy:Toy"), "small", "fickle_space:space").for_classes(["a", "b"])
    study = toy_study(tmp_path, space=space.to_dict(), samples=5)
    machine = Machine(monkeypatch)
    records = machine.run(study).records()
    assert [r.state for r in records] == ["complete", "complete", "failed", "failed", "complete"]
    assert records[2].reason == "--space fickle_space:space: the function failed (RuntimeError: not this one)"
    assert records[3].reason == "--space fickle_space:space: the function failed (SystemExit: 3)"
    assert ("ended", 2, "failed", records[2].reason) in machine.events
    assert outcome(Book(study).records()) == outcome(records)
