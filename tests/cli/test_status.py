"""What `raysearch status` says of the best trial: beside a mask of the whole picture, and what is suspect."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from cli.conftest import Call
from raysearch.cli._trivial import against_lines
from raysearch.study import Study, beside_trivial, best_of, corrected_winner, read_records
from raysearch.thresholds import AgainstTrivial, Interval

WORSE = AgainstTrivial(
    metric="box_iou:classes",
    value=0.3,
    trivial=0.4,
    by_class={"Enlarged Cardiomediastinum": 0.5, "Edema": 0.1},
    trivial_by_class={"Enlarged Cardiomediastinum": 0.45, "Edema": 0.35},
)


def test_the_best_trial_stands_beside_a_mask_of_the_whole_picture(
    study: Study, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYSEARCH_STUDIES", str(study.path.parent))
    best = best_of(read_records(study), maximise=True)
    assert best is not None
    beside = beside_trivial(study, best)
    assert beside is not None
    assert beside.against.value == best.value
    shown = call("status", "done").out
    assert f"f1_plus {best.value:.4f}; mask of the whole picture {beside.against.trivial:.4f}" in shown
    assert all(f"  note: {note}\n" in shown for note in beside.notes)
    for name, value in beside.against.by_class.items():
        assert any(line.split()[:2] == [name, f"{value:.4f}"] for line in shown.splitlines())
    told = json.loads(call("status", "done", "--json").out)
    assert told["best"]["notes"] == list(beside.notes)
    assert AgainstTrivial(**told["best"]["against_trivial"]) == beside.against
    assert all(trial["against_trivial"]["metric"] == "f1_plus" for trial in told["trials"])


def test_without_its_evidence_nothing_is_said_of_the_interval(study: Study) -> None:
    best = best_of(read_records(study), maximise=True)
    assert best is not None
    Path(study.trial(best.number).path, "evidence", "best.npz").unlink()
    beside = beside_trivial(study, best)
    assert beside is not None
    assert not any("interval" in note for note in beside.notes)


def test_what_the_winner_is_doubted_by_is_its_corrected_interval(study: Study) -> None:
    records = read_records(study)
    best = best_of(records, maximise=True)
    won = corrected_winner(study, records)
    assert best is not None
    assert won is not None
    stored = best.result["against_trivial"]
    known = dataclasses.replace(
        best, result={**best.result, "against_trivial": {**stored, "value": 0.6, "trivial": 0.4}}
    )
    wide = dataclasses.replace(won, value=Interval(0.5, 0.39, 0.61))
    beside = beside_trivial(study, known, wide)
    assert beside is not None
    assert any("0.3900 to 0.6100, includes the 0.4000" in note for note in beside.notes)
    narrow = beside_trivial(study, known, dataclasses.replace(won, value=Interval(0.5, 0.41, 0.59)))
    assert narrow is not None
    assert not any("includes" in note for note in narrow.notes)


def test_the_list_of_studies_has_both_values(study: Study, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYSEARCH_STUDIES", str(study.path.parent))
    (told,) = json.loads(call("studies", "--json").out)
    won = corrected_winner(study, read_records(study))
    assert won is not None
    assert (told["best"], told["corrected"]) == (won.naive, won.value.mean)
    assert f"f1_plus {won.naive:.4f} {won.value.mean:.4f}" in call("studies").out


def test_lines_fit_a_narrow_terminal() -> None:
    lines = against_lines(WORSE, ())
    assert lines == [
        "  box_iou:classes 0.3000; mask of the whole picture 0.4000",
        "  by class                     value  whole picture",
        "  Enlarged Cardiomediastinum  0.5000  0.4500",
        "  Edema                       0.1000  0.3500  not above",
    ]
    assert max(map(len, lines)) <= 60
    assert against_lines(WORSE, ["so it is"], classes=False) == [lines[0], "  note: so it is"]
    assert against_lines(None, ["so it is"]) == ["  note: so it is"]


def test_hundreds_of_classes_have_no_table() -> None:
    names = [f"c{n}" for n in range(200)]
    many = AgainstTrivial(
        metric="iou",
        value=0.3,
        trivial=0.2,
        by_class=dict.fromkeys(names, 0.3),
        trivial_by_class=dict.fromkeys(names, 0.2),
    )
    assert len(against_lines(many, ())) == 1
