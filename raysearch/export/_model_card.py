"""README.md of an export: what the model is, what was measured, on what, and how to use it."""

from __future__ import annotations

from typing import Any

from raysearch.study import Study, TrialRecord
from raysearch.thresholds import find_metric


def model_card(study: Study, record: TrialRecord, results: dict[str, Any], thresholds: dict[str, Any]) -> str:
    config = study.config
    rows = [
        f"| {find_metric(name).title} | {value:.4f} | {_interval(results['intervals'].get(name))} |"
        for name, value in results["metrics"].items()
    ]
    chosen = [
        f"| `{name}` | {entry['value']:.4f} | {entry['chosen_by']} on the {entry['split']} split by {entry['metric']} |"
        for name, entry in thresholds.items()
    ]
    look = (
        "This was the first look at this test split."
        if results["looks"] == 1
        else f"This was look {results['looks']} at this test split: the numbers below are optimistic to the extent that"
        " earlier looks were acted on."
    )
    return "\n".join(
        [
            f"# {config.name}, trial {record.number}: {config.method}",
            "",
            f"Trained and tuned by raysearch {config.versions['raysearch']} on `{config.data}` ({config.preset} preset,"
            f" {config.budget.samples} trials of {config.budget.epochs} epochs, epoch {record.result['epoch']} of this"
            f" trial, seed {config.seed}). Classes: {', '.join(config.classes)}.",
            "",
            f"## Test split ({results['images']} images)",
            "",
            look,
            "",
            "| metric | value | 95% interval over patients |",
            "|---|---|---|",
            *rows,
            "",
            "## Thresholds",
            "",
            "| threshold | value | chosen by |",
            "|---|---|---|",
            *chosen,
            "",
            f"On the tuning split {config.metric} is {record.value:.4f} (cross-fitted: no image is scored by a"
            " threshold that it helped to choose)."
            if record.value is not None
            else "",
            "",
            "The numbers above are GT-known: a region is cut at the threshold of the image's true class; `predict`"
            " takes the predicted one's.\n"
            if config.per_class
            else "",
            "## Use",
            "",
            "```",
            "raysearch verify .                          # the numbers above again",
            "raysearch predict . IMAGE... --out masks    # a mask, an overlay and a CSV line an image",
            "```",
            "",
            "Not a medical device. The model localizes what its training images showed; on other scanners, populations",
            "or findings it has not been measured.",
            "",
        ]
    )


def _interval(bounds: list[float] | None) -> str:
    return "-" if bounds is None else f"{bounds[0]:.4f} to {bounds[1]:.4f}"
