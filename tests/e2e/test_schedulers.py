"""Trials that pause for one another under Ray Tune itself, on one slot and on two."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from e2e.conftest import SMALL, cli, rows, status

pytestmark = pytest.mark.ray


def test_hyperband_compares_a_bracket_on_one_slot(studies: Path) -> None:
    done = cli("tune", "--method", "cam_avg", *SMALL, "--samples", "4", "--epochs", "3", "--scheduler", "hyperband",
               "--slots", "1", "--study", "brackets")  # fmt: skip
    assert done.returncode == 0, done.stderr
    trials = status("brackets")["trials"]
    first = {number: rows(studies, "brackets", number)[0]["value"] for number in range(3)}
    trained = {0, 1 if first[1] >= first[2] else 2}  # the defaults go on whatever they are worth
    assert [t["epochs"] for t in trials[:3]] == [3 if number in trained else 1 for number in range(3)]
    assert [t["state"] for t in trials[:3]] == ["complete" if number in trained else "pruned" for number in range(3)]
    assert (trials[3]["state"], trials[3]["epochs"]) == ("complete", 3), "alone in the bracket that stops nobody"


def test_a_population_exchanges_on_two_slots(tmp_path: Path, studies: Path) -> None:
    done = cli("tune", "--method", "cam_avg", *SMALL, "--samples", "4", "--epochs", "4", "--scheduler", "pbt",
               "--slots", "2", "--study", "people")  # fmt: skip
    assert done.returncode == 0, done.stderr
    trials = status("people")["trials"]
    assert [(t["state"], t["epochs"]) for t in trials] == [("complete", 4)] * 4
    (exchange,) = json.loads((studies / "people" / "exchanges.json").read_text())
    (move,) = exchange["moves"]
    assert (exchange["epoch"], exchange["trials"]) == (3, [0, 1, 2, 3])
    taker = rows(studies, "people", move["to"])
    assert [row.get("exploited", {}).get("from") for row in taker] == [None, None, None, move["donor"]]
    out = tmp_path / "model"
    exported = cli("export", "people", "--trial", str(move["to"]), "--out", str(out))
    assert exported.returncode == 0, exported.stderr
    settings = yaml.safe_load((out / "config.yaml").read_text())["settings"]
    shown = trials[move["to"]]["params"]
    assert {name: settings[name] for name in shown} == pytest.approx(shown)
