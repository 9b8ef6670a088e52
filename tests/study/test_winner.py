"""A study's winner: among what it was chosen, what is left of its value, and whether it is better than the defaults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export.finished_studies import copy_of_finished
from numpy.typing import NDArray
from search.toy import toy_study

from raysearch.study import Book, Study, corrected_winner, read_records, winner_json, winner_lines
from raysearch.study._book import INFLUENCE
from raysearch.study._winner import corrected
from raysearch.thresholds import cross_fit, find_metric, influence, load_evidence, mask_metric, pack, unpack, winner
from raysearch.training import encode

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

PATIENTS = 40


@pytest.fixture(autouse=True)
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


def scored(root: Path, scores: NDArray[np.float64], **changes: Any) -> Study:
    """A study of T trials of E epochs with the scores (T, E, P) of their patients."""
    study = toy_study(root, samples=len(scores), **changes)
    book = Book(study)
    for trial in scores:
        number = book.next().number
        for at, row in enumerate(map(row_of, trial, range(1, len(trial) + 1)), 1):
            row |= {"finished": at == len(trial)}
            best = row["value"] == max(trial[:at].mean(axis=1))
            study.trial(number).record(row, evidence=b"e", checkpoint=encode({"row": row}), best=best)
            book.report(number, row)
        book.close(number, "complete")
    return study


def row_of(scores: NDArray[np.float64], epoch: int) -> dict[str, Any]:
    value = float(scores.mean())
    return {
        "time": float(epoch), "epoch": epoch, "value": value, "metrics": {"f1_plus": value}, "thresholds": {},
        "influence": pack((scores - value) / (len(scores) - 1)), "losses": {"train_seconds": 1.0},
        "evaluate_seconds": 0.1, "last_stage": epoch > 1, "finished": False,
    }  # fmt: skip


def noise(trials: int, epochs: int, seed: int = 0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return 0.5 + rng.normal(0, 0.15, PATIENTS) + rng.normal(0, 0.15, (trials, epochs, PATIENTS))


def test_it_is_chosen_among_the_epochs_that_count_of_all_complete_trials(tmp_path: Path) -> None:
    scores = noise(5, 3)
    study = scored(tmp_path, scores)
    found = corrected_winner(study, read_records(study))
    assert found is not None
    counting = scores[:, 1:].reshape(10, PATIENTS)  # the first epoch is of an earlier stage
    values = counting.mean(axis=1)
    expected = winner(
        values, (counting - values[:, None]) / (PATIENTS - 1), np.repeat(np.arange(5), 2), against=0, seed=7
    )
    assert (found.trials, found.evaluations, found.number) == (5, 10, values.argmax() // 2)
    assert found.naive == max(record.value or 0 for record in read_records(study))
    assert found.value == pytest.approx(expected.value, abs=1e-5)
    assert found.value.mean < found.naive - 0.01


def test_by_its_last_epoch_a_trial_is_one_candidate(tmp_path: Path) -> None:
    study = scored(tmp_path, noise(4, 3), select="last")
    found = corrected_winner(study, read_records(study))
    assert found is not None
    assert found.evaluations == 4


def test_what_the_data_can_say_of_the_defaults_is_one_sentence(tmp_path: Path) -> None:
    alike, better = noise(3, 2), noise(3, 2)
    alike[0] -= 0.03
    alike[0] -= max(0.0, alike[0].mean() - alike[1:].mean())
    better[0] -= 0.4
    worse = noise(3, 2)
    worse[0] += 0.4
    for name, scores, says, told in (
        ("alike", alike, "the data cannot tell it from the defaults (trial 0): corrected gain +0.", False),
        ("better", better, "better than the defaults (trial 0), corrected by +0.3", True),
        ("worse", worse, "no trial is better than the defaults (trial 0)", None),
    ):
        study = scored(tmp_path, scores, name=name)
        found = corrected_winner(study, read_records(study))
        first, second = winner_lines(found)
        assert first.startswith("corrected for the choice among 3 trials: 0.")
        assert second.startswith(says)
        assert found is not None
        assert found.told_apart is told
        plain = winner_json(found)
        assert plain is not None
        assert json.loads(json.dumps(plain)) == plain


def test_a_grid_has_no_trial_of_the_defaults(tmp_path: Path) -> None:
    study = scored(tmp_path, noise(3, 2), sampler="random")
    object.__setattr__(study.config, "sampler", "grid")
    found = corrected_winner(study, read_records(study))
    assert found is not None
    assert (found.gain, found.defaults_won) == (None, False)


def test_of_a_trial_that_was_named_only_epochs_were_chosen(tmp_path: Path) -> None:
    study = scored(tmp_path, noise(4, 4))
    records = read_records(study)
    best = max(records, key=lambda record: record.value or 0).number
    other = corrected_winner(study, records, (best + 1) % 4)
    assert other is not None
    assert (other.number, other.trials, other.evaluations, other.gain) == ((best + 1) % 4, 1, 3, None)
    assert corrected_winner(study, records, best) == corrected_winner(study, records)


def test_one_evaluation_needs_no_correction(tmp_path: Path) -> None:
    study = scored(tmp_path, noise(1, 2))
    found = corrected_winner(study, read_records(study))
    assert found is not None
    assert found.value.mean == pytest.approx(found.naive, abs=1e-6)
    assert winner_lines(found) == []


def test_nothing_is_said_where_records_are_gone_or_damaged(tmp_path: Path) -> None:
    study = scored(tmp_path, noise(3, 2))
    records = read_records(study)
    path = study.trial(1).path / "metrics.jsonl"
    text = path.read_text()
    for damaged in (
        text.replace('"influence": "', '"influence": "?'),
        text.replace('"influence"', '"other"'),
        "{\n",
        "",
    ):
        path.write_text(damaged)
        assert corrected_winner(study, records) is None
    assert winner_lines(None) == []
    assert winner_json(None) is None
    assert corrected_winner(study, []) is None


def test_a_real_study_stores_what_its_evidence_says(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """And the journal does not hold it."""
    study = copy_of_finished(tmp_path_factory.getbasetemp(), tmp_path)
    counts = load_evidence(study.trial(0).path / "evidence" / "best.npz", ["counts"])["counts"]
    metric = mask_metric("f1_plus")
    fit = cross_fit(counts, metric, seed=study.config.seed)  # type: ignore[arg-type]
    (row,) = study.trial(0).rows()
    assert row["value"] == fit.value
    assert unpack(row[INFLUENCE]) == pytest.approx(influence(counts, metric, fit.applied(counts).T), abs=1e-7)  # type: ignore[arg-type]
    assert INFLUENCE not in study.journal.read_text()
    assert corrected_winner(study, read_records(study)) is not None


def test_what_a_metric_cannot_be_is_cut_off() -> None:
    values, owner = np.array([0.02, 0.0]), np.array([0, 1])
    added = np.array([[0.3, -0.3, 0.2, -0.2], [0.1, -0.1, 0.2, -0.2]])
    share, distance = (
        corrected(values, added, owner, find_metric(name), against=None, seed=0).value for name in ("iou", "hausdorff")
    )
    assert (share.low, share.high) == (0, pytest.approx(0.6, abs=0.4))
    assert share.high <= 1
    assert (distance.low, distance.mean >= 0) == (0, True)
