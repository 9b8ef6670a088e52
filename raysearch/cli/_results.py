"""What the commands that score a model share: what it may stand beside, and how scores are printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from raysearch.cli._trivial import against_lines, class_lines

reference_option = click.option(
    "--reference",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="CSV of another reader's values (class,value) of the study's metric, to stand beside the model's.",
)
baseline_option = click.option(
    "--baseline",
    metavar="EXPORT",
    type=click.Path(path_type=Path),
    help="Another export: how much of its gap to the reference does the model close?",
)


def echo_metrics(scores: dict[str, Any]) -> None:
    """A line a metric, with its interval where it has one, and what a mask of the whole picture has where it has a
    threshold; below them the metric that trials are ranked by, and the one that judges masks, by class."""
    for line in metric_lines(scores):
        click.echo(line)


def metric_lines(scores: dict[str, Any]) -> list[str]:
    """See `echo_metrics`."""
    from raysearch.thresholds import AgainstTrivial

    width = max(map(len, scores["metrics"]), default=0)
    lines = []
    if scores["trivial"]:
        lines.append(f"  {'':<{width}}  value   95% interval      whole picture")
    for name, value in scores["metrics"].items():
        bounds, trivial = scores["intervals"].get(name), scores["trivial"].get(name)
        spread = f"[{bounds[0]:.4f}, {bounds[1]:.4f}]" if bounds else ""
        everything = "" if trivial is None else f"{trivial:.4f}"
        lines.append(f"  {name:<{width}}  {value:.4f}  {spread:<16}  {everything}".rstrip())
    against, own = scores["against_trivial"], scores["metric"]
    if against is None or against["metric"] != own:
        lines += class_lines(own, scores["by_class"].get(own, {}))
    return [*lines, *against_lines(None if against is None else AgainstTrivial(**against), scores["notes"])]


def echo_reference(standing: dict[str, Any]) -> None:
    """The model beside a reference: a line a class, and their mean."""
    click.echo(f"{standing['metric']} beside the reference:")
    for name, each in {**standing["classes"], "mean": standing["mean"]}.items():
        line = f"  {name:<22} {each['model']:.4f}, reference {each['reference']:.4f}"
        if each["baseline"] is not None:
            line += f", baseline {each['baseline']:.4f}"
        if each["gap_closed"] is not None:
            line += f", gap closed {100 * each['gap_closed']:.1f}%"
        click.echo(line)
