"""Values by class where trials are ranked by a metric without a threshold: in the terminal and in the model card."""

from __future__ import annotations

from pathlib import Path

import pytest
from export.finished_studies import finished_study

from cli.conftest import Call
from raysearch.export import export_study
from raysearch.study import best_of, plain_by_class, read_records


def test_the_studys_own_metric_is_shown_by_class(tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    study = finished_study(tmp_path / "studies", metric="accuracy")
    monkeypatch.setenv("RAYSEARCH_STUDIES", str(study.path.parent))
    best = best_of(read_records(study), maximise=True)
    assert best is not None
    by_class = plain_by_class(study, best)
    assert set(by_class) == set(study.config.classes)
    shown = call("status", study.name).out.splitlines()
    place = next(n for n, line in enumerate(shown) if line.split() == ["by", "class", "accuracy"])
    found = dict(line.split() for line in shown[place + 1 : place + 1 + len(by_class)])
    assert found == {name: f"{value:.4f}" for name, value in by_class.items()}
    (study.trial(best.number).path / "evidence" / "best.npz").rename(tmp_path / "kept.npz")
    assert plain_by_class(study, best) == {}
    (tmp_path / "kept.npz").rename(study.trial(best.number).path / "evidence" / "best.npz")
    results = export_study(study, tmp_path / "model", trial=best.number).results
    card = (tmp_path / "model" / "README.md").read_text()
    assert "By class, Accuracy" in card
    for name, value in results["by_class"]["accuracy"].items():
        assert f"| {name} | {value:.4f} |\n" in card
