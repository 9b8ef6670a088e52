"""`raysearch rethreshold`: what it prints and what it refuses."""

from __future__ import annotations

import json

import pytest

from cli.conftest import Call
from raysearch.study import Study


@pytest.fixture(autouse=True)
def here(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYSEARCH_STUDIES", str(study.path.parent))


def test_the_latest_study_ranked_by_its_own_metric(call: Call) -> None:
    shown = call("rethreshold")
    assert (shown.code, shown.err) == (0, "")
    head, columns, *rows = shown.out.splitlines()
    assert head.endswith("ranked by f1_plus")
    assert columns.split()[:3] == ["trial", "f1_plus", "iou"]
    assert sorted(int(row.split()[0]) for row in rows[:2]) == [0, 1]
    assert rows[0].split()[1].startswith("*")
    assert any(row.startswith("best by iou: trial ") and "mask_threshold=" in row for row in rows)


def test_json_is_the_whole_table(call: Call) -> None:
    told = json.loads(call("rethreshold", "done", "--metric", "iou,classification_error", "--per-class", "--json").out)
    assert (told["study"], told["metrics"]) == ("done", ["iou", "classification_error"])
    first = told["trials"][0]
    assert set(first["metrics"]["iou"]) == {
        *("value", "low", "high", "thresholds", "by_class", "against", "notes"),
    }
    against = first["metrics"]["iou"]["against"]
    assert against["value"] == first["metrics"]["iou"]["value"]
    assert against["by_class"] == first["metrics"]["iou"]["by_class"]
    assert set(against["trivial_by_class"]) == set(against["by_class"])
    assert first["metrics"]["classification_error"]["against"] is None
    assert all(name.startswith("mask_threshold.") for name in first["metrics"]["iou"]["thresholds"])
    assert told["winners"]["iou"] == first["number"]


def test_what_is_missing_for_some_metrics_is_a_note(call: Call) -> None:
    shown = call("rethreshold", "--metric", "iou,box_iou", "--trial", "1")
    assert shown.code == 0
    assert shown.err.strip() == (
        "note: trial 1 kept no evidence of kind components, which box_iou needs: tune with --keep-evidence components"
    )


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("--metric", "box_iou"), ("study 'done': trials 0, 1 kept no evidence of kind components", "tune with")),
        (("--metric", "ioi"), ("--metric ioi: unknown metric", "did you mean 'iou'?")),
        (("--metric", ""), ("--metric : unknown metric",)),
        (("--metric", "recall"), ("a mask of the whole image wins",)),
        (("--trial", "9"), ("study 'done' has no trial 9", "'raysearch status done'")),
        (("nosuch",), ("nosuch",)),
    ],
)
def test_refused(call: Call, argv: tuple[str, ...], says: tuple[str, ...]) -> None:
    refused = call("rethreshold", *argv)
    assert refused.code == 2
    assert all(words in refused.line for words in says), refused.line
