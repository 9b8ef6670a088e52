"""README.md of an export: what the model is, what was measured, on what, and how to use it."""

from __future__ import annotations

from typing import Any

from raysearch._text import counted
from raysearch.study import Beside, Study, TrialRecord
from raysearch.thresholds import find_metric


def model_card(
    study: Study,
    record: TrialRecord,
    results: dict[str, Any],
    thresholds: dict[str, Any],
    beside: Beside | None,
) -> str:
    """The text; `beside` is the trial beside masks of the whole picture on the tuning split."""
    config = study.config
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
            f"# {study.name}, trial {record.number}: {config.method}",
            "",
            f"Trained and tuned by raysearch {config.versions['raysearch']} on `{config.data}` ({config.preset} preset,"
            f" {counted(config.budget.samples, 'trial')} of {counted(config.budget.epochs, 'epoch')}, epoch"
            f" {record.result['epoch']} of this trial, seed {config.seed}). Classes: {', '.join(config.classes)}.",
            "",
            *_postprocessing(study, results["fixes"]),
            f"## Test split ({counted(results['images'], 'image')})",
            "",
            look,
            "",
            *_table(results),
            "",
            *_overtuned(results["overtuning"]),
            *_skipped(results["skipped"]["auc"]),
            *_reference(results.get("reference")),
            *_optimistic(results.get("optimistic")),
            "## Thresholds",
            "",
            "| threshold | value | chosen by |",
            "|---|---|---|",
            *chosen,
            "",
            *_boxes(thresholds),
            f"On the tuning split {config.metric} is {record.value:.4f} (cross-fitted: no image is scored by a"
            " threshold that it helped to choose)."
            if record.value is not None
            else "",
            *_against_trivial(beside),
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


def _against_trivial(beside: Beside | None) -> list[str]:
    if beside is None:
        return []
    against = beside.against
    return [
        f"A mask of the whole picture has {against.metric} {against.trivial:.4f} there, the model {against.value:.4f}.",
        *("", *(f"- Note: {note}." for note in beside.notes)),
    ]


def _postprocessing(study: Study, fixes: list[str]) -> list[str]:
    if not fixes:
        return []
    given = ", ".join(f"`{text}`" for text in fixes)
    chosen = {"solve": "chosen again on the tuning split", "sample": "those of the trial", "fixed": "the default ones"}
    return [
        f"Post-processing is not that of the trial, but {given}: the network was trained, and chosen, without it;"
        f" thresholds are {chosen[study.config.decision_thresholds]}.",
        "",
    ]


def _table(scores: dict[str, Any]) -> list[str]:
    return [
        "| metric | value | 95% interval over patients | mask of the whole picture |",
        "|---|---|---|---|",
        *(
            f"| {find_metric(name).title} | {value:.4f} | {_interval(scores['intervals'].get(name))} |"
            f" {_number(scores['trivial'].get(name))} |"
            for name, value in scores["metrics"].items()
        ),
        "",
        *_plain_by_class(scores),
        *_by_class(scores["against_trivial"]),
        *(f"- Note: {note}." for note in scores["notes"]),
    ]


def _plain_by_class(scores: dict[str, Any]) -> list[str]:
    """Of the metric that trials are ranked by, where another one judges masks and there are several classes."""
    against, name = scores["against_trivial"], scores["metric"]
    by_class = scores["by_class"].get(name, {})
    if len(by_class) < 2 or (against is not None and against["metric"] == name):
        return []
    lines = [f"| {label} | {value:.4f} |" for label, value in by_class.items()]
    return [f"By class, {find_metric(name).title}:", "", "| class | value |", "|---|---|", *lines, ""]


def _by_class(against: dict[str, Any] | None) -> list[str]:
    """Of the metric that judges masks, where there are several classes."""
    if against is None or len(against["by_class"]) < 2:
        return []
    return [
        f"By class, {find_metric(against['metric']).title}:",
        "",
        "| class | value | mask of the whole picture |",
        "|---|---|---|",
        *(
            f"| {name} | {value:.4f} | {against['trivial_by_class'][name]:.4f} |"
            for name, value in against["by_class"].items()
        ),
        "",
    ]


def _overtuned(found: dict[str, Any] | None) -> list[str]:
    return [] if found is None else [" ".join(found["says"]), ""]


def _skipped(classes: list[str]) -> list[str]:
    if not classes:
        return []
    return [f"Not in the AUC, because the test images have one label of them only: {', '.join(classes)}.", ""]


def _optimistic(scores: dict[str, Any] | None) -> list[str]:
    if scores is None:
        return []
    chosen = ", ".join(f"`{name}` {value:.4f}" for name, value in scores["thresholds"].items())
    return [
        "### Optimistic: thresholds chosen on the test images",
        "",
        f"These thresholds were chosen by {scores['chosen_by']} on the very images that they score ({chosen}), as some"
        " papers do. They are not the model's, and the numbers are too good: what to expect of new images stands above."
        f" Look {scores['look']} at this test split.",
        "",
        *_table(scores),
        "",
    ]


def _reference(standing: dict[str, Any] | None) -> list[str]:
    if standing is None:
        return []
    lines = {**standing["classes"], "mean of these classes": standing["mean"]}
    return [
        f"### Beside a reference: {find_metric(standing['metric']).title}",
        "",
        "| class | model | reference | baseline | gap closed |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {each['model']:.4f} | {each['reference']:.4f} | {_number(each['baseline'])} |"
            f" {_number(each['gap_closed'], 100, '.1f', '%')} |"
            for name, each in lines.items()
        ),
        "",
        "Gap closed: (model - baseline) / (reference - baseline).",
        "",
    ]


def _boxes(thresholds: dict[str, Any]) -> list[str]:
    rules = {entry["box_rule"] for entry in thresholds.values() if "box_rule" in entry}
    return [f"Boxes are made by the rule `{rule}`." for rule in rules] + [""] * len(rules)


def _number(value: float | None, factor: float = 1, form: str = ".4f", unit: str = "") -> str:
    return "-" if value is None else f"{factor * value:{form}}{unit}"


def _interval(bounds: list[float] | None) -> str:
    return "-" if bounds is None else f"{bounds[0]:.4f} to {bounds[1]:.4f}"
