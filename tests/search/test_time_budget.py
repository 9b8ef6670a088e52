"""A search whose time is up ends its epochs, and goes on as if it had never stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.simulator import Machine, epochs_of, outcome
from search.test_interrupted_search import SEARCHES, exchanged, kept_weights
from search.toy import toy_study


@pytest.mark.parametrize("search", SEARCHES)
def test_time_that_is_up_at_any_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, search: str) -> None:
    calm = toy_study(tmp_path / "calm", **SEARCHES[search])
    machine = Machine(monkeypatch)
    wanted = outcome(machine.run(calm).records())
    order = machine.trained
    for epochs in range(len(order)):
        study = toy_study(tmp_path / f"cut{epochs}", **SEARCHES[search])
        machine = Machine(monkeypatch)
        machine.run(study, epochs=epochs)
        assert machine.trained == order[: max(1, epochs)], "what had begun was finished, and nothing else began"
        book = machine.run(study)
        where = f"{search}: the time was up after {epochs} epochs"
        assert sorted(machine.trained) == sorted(order), f"{where}: no epoch was lost, or computed twice"
        assert outcome(book.records()) == wanted, where
        assert epochs_of(study) == epochs_of(calm), where
        assert exchanged(study) == exchanged(calm), where
        assert kept_weights(study) == kept_weights(calm), where


@pytest.mark.parametrize("search", SEARCHES)
def test_every_run_gets_on_however_short_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, search: str) -> None:
    calm = toy_study(tmp_path / "calm", **SEARCHES[search])
    wanted = outcome(Machine(monkeypatch).run(calm).records())
    study = toy_study(tmp_path / "short", **SEARCHES[search])
    machine = Machine(monkeypatch)
    done, before = (0, 0), (-1, -1)
    while done != before:
        before = done
        book = machine.run(study, epochs=0)
        done = len(machine.trained), sum(record.state != "running" for record in book.records())
        assert done[0] <= before[0] + 1
    assert outcome(book.records()) == wanted
