"""What an export says of the choice: the tuning split's promise, the test split, the defaults."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from raysearch.cli.export import export
from raysearch.export import export_study
from raysearch.export._overtuning import _promised, _sentence
from raysearch.study import Study, corrected_winner, read_records, winner_json
from raysearch.thresholds import Interval


def test_the_trial_is_compared_with_the_defaults_on_the_same_test_images(study: Study, tmp_path: Path) -> None:
    defaults = export_study(study, tmp_path / "defaults", trial=0).results
    other = export_study(study, tmp_path / "other", trial=1).results
    told = other["overtuning"]
    assert told["defaults"] == "tested"
    assert told["test"] == pytest.approx(other["metrics"]["f1_plus"])
    assert told["test_gain"] == pytest.approx(other["metrics"]["f1_plus"] - defaults["metrics"]["f1_plus"])
    low, high = told["test_gain_interval_95"]
    assert low < told["test_gain"] < high
    assert told["overtuned"] is (True if high < 0 else False if low > 0 else None)
    assert defaults["overtuning"]["defaults"] == "same"
    assert defaults["overtuning"]["test_gain"] is None
    records = read_records(study)
    for number, results in enumerate((defaults, other)):
        assert results["overtuning"]["naive"] == records[number].value
        assert results["overtuning"]["tuning"] == winner_json(corrected_winner(study, records, number))


def test_it_is_in_the_model_card_and_in_the_terminal(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYSEARCH_STUDIES", str(study.path.parent))
    shown = CliRunner().invoke(export, [study.name, "--out", str(tmp_path / "model"), "--trial", "1"])
    assert shown.exit_code == 0, shown.output
    card = (tmp_path / "model" / "README.md").read_text()
    for text in (shown.output, card):
        assert "f1_plus of trial 1 is " in text
        assert "the defaults (trial 0)" in text


def test_weights_that_are_gone_are_said_to_be(study: Study, tmp_path: Path) -> None:
    study.trial(0).best.unlink()
    told = export_study(study, tmp_path / "model", trial=1).results["overtuning"]
    assert (told["defaults"], told["test_gain"], told["overtuned"]) == ("gone", None, None)
    assert "that trial has no weights, or took over another one's" in told["says"][-1]


def test_damaged_weights_of_the_defaults_are_no_reason_to_fail(study: Study, tmp_path: Path) -> None:
    study.trial(0).best.write_bytes(b"not a checkpoint")
    assert export_study(study, tmp_path / "model", trial=1).results["overtuning"]["defaults"] == "gone"


def test_overtuning_is_one_sentence() -> None:
    (worse,) = _sentence("tested", Interval(-0.05, -0.09, -0.01), None)
    assert worse.startswith("The study overtuned: on the test split the trial is worse than the defaults (trial 0), ")
    assert worse.endswith("-0.0500 [-0.0900, -0.0100].")
    assert _sentence("tested", Interval(0.05, 0.01, 0.09), None)[0].startswith("No overtuning: on the test split")
    assert _sentence("tested", Interval(0.01, -0.03, 0.05), None)[0].startswith(
        "On the test split the data cannot tell"
    )
    assert _sentence("none", None, None) == []
    assert _sentence("same", None, None) == ["It is the trial with the defaults."], "another one may be the best"


def test_a_promise_that_the_test_split_does_not_keep_is_named(study: Study) -> None:
    records = read_records(study)
    found = corrected_winner(study, records, 1)
    assert found is not None
    low = _promised(study, records[1], found, Interval(-5.0, -5.1, -4.9))
    high = _promised(study, records[1], found, Interval(5.0, 4.9, 5.1))
    assert low[0].endswith("The test value is worse than the corrected one by more than chance.")
    assert high[0].endswith("The test value is better than the corrected one by more than chance.")
    nearby = Interval(found.value.mean, found.value.mean - 0.1, found.value.mean + 0.1)
    assert "agree within their intervals" in _promised(study, records[1], found, nearby)[0]
