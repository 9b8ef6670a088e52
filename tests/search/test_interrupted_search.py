"""A search that was switched off at any moment ends as if it had never been."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raysearch.search._searcher import next_action
from raysearch.study._study import Study
from raysearch.training import decode
from search.simulator import Killed, Machine, epochs_of, outcome, switched_off
from search.toy import toy_study

SEARCHES: dict[str, dict[str, Any]] = {
    "nan": {"scheduler": "fifo", "samples": 3, "epochs": 3, "seed": 18, "keep_checkpoints": 1},
    "asha": {"scheduler": "asha", "samples": 4, "epochs": 4, "seed": 1},
    "alternating": {
        "scheduler": "fifo",
        "samples": 3,
        "epochs": 7,
        "seed": 3,
        "loss_thresholds": "alternate",
        "alternate": "search",
        "round_epochs": 2,
    },
    "hyperband": {"scheduler": "hyperband", "samples": 6, "epochs": 4, "seed": 1},
    "pbt": {"scheduler": "pbt", "samples": 5, "epochs": 5, "round_epochs": 2, "seed": 4},
    "alternating hyperband": {
        "scheduler": "hyperband",
        "samples": 4,
        "epochs": 6,
        "seed": 3,
        "loss_thresholds": "alternate",
        "alternate": "search",
        "round_epochs": 2,
    },
    "alternating pbt": {
        "scheduler": "pbt",
        "samples": 4,
        "epochs": 7,
        "seed": 3,
        "loss_thresholds": "alternate",
        "alternate": "search",
        "round_epochs": 2,
    },
    "last": {"scheduler": "fifo", "samples": 2, "epochs": 2, "seed": 2, "select": "last", "direction": "minimize"},
}


def kept_weights(study: Study) -> dict[int, int]:
    """Trial -> epoch of the checkpoint that it kept."""
    kept = {}
    for path in sorted((study.path / "trials").glob("*/checkpoint/best.pt")):
        kept[int(path.parts[-3])] = decode(path.read_bytes(), str(path))["row"]["epoch"]
    return kept


def exchanged(study: Study) -> str:
    """What trials took over from one another."""
    path = study.path / "exchanges.json"
    return path.read_text() if path.exists() else ""


def whole_lines(path: Path) -> list[bytes]:
    data = path.read_bytes() if path.exists() else b""
    return data[: data.rfind(b"\n") + 1].splitlines()


def recorded(study: Study) -> set[tuple[int, int]]:
    """(trial, epoch) of all lines in metrics.jsonl, read without mending anything."""
    paths = (study.path / "trials").glob("*/metrics.jsonl")
    return {(int(path.parts[-2]), json.loads(line)["epoch"]) for path in paths for line in whole_lines(path)}


def evidence_epoch(study: Study, number: int) -> int:
    return int((study.trial(number).path / "evidence" / "best.npz").read_bytes())


@pytest.mark.parametrize("search", SEARCHES)
def test_switched_off_at_any_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, search: str) -> None:
    calm = toy_study(tmp_path / "calm", **SEARCHES[search])
    machine = Machine(monkeypatch)
    with switched_off(monkeypatch, -1, torn=False) as writes:
        wanted = outcome(machine.run(calm).records())
    weights, epochs = kept_weights(calm), epochs_of(calm)
    assert set(epochs) == set(range(SEARCHES[search]["samples"]))
    # of a long one every third, which is torn every other time
    for write in range(0, len(writes), 3 if len(writes) > 150 else 1):
        torn = bool(write % 2) or writes[write] == "metrics"
        study = toy_study(tmp_path / f"hit{write}", **SEARCHES[search])
        machine = Machine(monkeypatch)
        with pytest.raises(Killed), switched_off(monkeypatch, write, torn=torn):
            machine.run(study)
        computed = set(machine.trained)
        saved = recorded(study)
        ended = [
            int(line.split(b'"trial_id":')[1].split(b",")[0])
            for line in whole_lines(study.ledger)
            if b'"result"' in line
        ]
        book = machine.run(study)
        where = f"{search}: switched off at write {write} ({writes[write]}{', torn' if torn else ''})"
        assert outcome(book.records()) == wanted, where
        assert epochs_of(study) == epochs, where
        assert exchanged(study) == exchanged(calm), where
        again = [step for step in machine.trained if machine.trained.count(step) > 1]
        assert len(set(again)) <= 1, f"{where}: more than the running epoch was computed again"
        assert not saved & set(again), f"{where}: a recorded epoch ran again"
        assert computed <= set(machine.trained)
        assert not [line for line in machine.events if line[0] == "started" and line[1] in ended], where
        assert kept_weights(study) == weights, where
        for number, epoch in weights.items():
            assert evidence_epoch(study, number) == epoch, where
        left = {path.name for path in (study.path / "trials").glob("*/*/*")}
        assert left <= {"best.pt", "best.npz", "last.npz"}, where


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kills=st.lists(st.tuples(st.integers(0, 90), st.booleans()), min_size=2, max_size=5))
def test_switched_off_time_and_again(tmp_path_factory: pytest.TempPathFactory, kills: list[tuple[int, bool]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("often")
        calm = toy_study(folder / "calm", **SEARCHES["asha"])
        wanted = outcome(Machine(patch).run(calm).records())
        study = toy_study(folder / "hit", **SEARCHES["asha"])
        machine = Machine(patch)
        for write, torn in kills:
            with contextlib.suppress(Killed), switched_off(patch, write, torn=torn):
                machine.run(study)
        assert outcome(machine.run(study).records()) == wanted
        assert epochs_of(study) == epochs_of(calm)
        assert kept_weights(study) == kept_weights(calm)


def test_the_searches_above_hold_what_they_are_to_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = set()
    for name, search in SEARCHES.items():
        study = toy_study(tmp_path / name, **search)
        book = Machine(monkeypatch).run(study)
        states |= {record.state for record in book.records()}
        kept = kept_weights(study)
        assert 0 < len(kept.keys() - {study.config.defaults}) <= study.config.keep_checkpoints, name
        best = book.best()
        assert best is not None
        assert kept[best.number] == best.result["epoch"]
    assert states == {"complete", "pruned", "failed"}


@pytest.mark.parametrize("scheduler", ["asha", "hyperband", "pbt"])
def test_successive_tuners_are_one_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheduler: str) -> None:
    search = {"scheduler": scheduler, "samples": 12, "epochs": 4, "seed": 4}
    one = Machine(monkeypatch).run(toy_study(tmp_path / "one", **search))
    monkeypatch.setitem(next_action.__kwdefaults__, "limit", 3)
    many = Machine(monkeypatch).run(toy_study(tmp_path / "many", **search))
    assert outcome(many.records()) == outcome(one.records())
    assert {r.state for r in one.records()} >= {"complete", "failed" if scheduler == "pbt" else "pruned"}


def test_more_samples_are_the_first_ones_and_then_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from raysearch.study import Changes, extend, this_machine

    monkeypatch.setattr("raysearch.search._sampler.STARTUP", 3)
    machine = Machine(monkeypatch)
    whole = machine.run(toy_study(tmp_path / "whole", samples=9))
    study = toy_study(tmp_path / "part", samples=4)
    first = machine.run(study)
    assert first.remaining == 0
    more = machine.run(extend(study, Changes(samples=9), this_machine()))
    assert outcome(more.records()) == outcome(whole.records())
    assert [line[1] for line in machine.events if line[0] == "started"] == [4, 5, 6, 7, 8]
