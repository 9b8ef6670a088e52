"""What the commands that score a model share: what it may stand beside, and how scores are printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

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
    """A line a metric, with its interval where it has one."""
    for name, value in scores["metrics"].items():
        bounds = scores["intervals"].get(name)
        click.echo(f"  {name:<22} {value:.4f}" + (f"  [{bounds[0]:.4f}, {bounds[1]:.4f}]" if bounds else ""))


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
