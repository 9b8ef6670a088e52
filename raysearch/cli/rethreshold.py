"""``raysearch rethreshold``: new thresholds, and a new ranking, from stored evidence."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import click

from raysearch.cli._options import json_option, print_json, study_argument
from raysearch.cli._trivial import against_lines

if TYPE_CHECKING:
    from raysearch.study import Optimum, Table


@click.command()
@study_argument
@click.option(
    "--metric", metavar="NAME[,NAME]", help="The first one ranks; default: the study's and what else it can tell."
)
@click.option("--trial", type=click.IntRange(min=0), metavar="N", help="This trial alone; default: every complete one.")
@click.option("--per-class", is_flag=True, help="A threshold a class instead of a shared one.")
@json_option
def rethreshold(study: str | None, metric: str | None, trial: int | None, per_class: bool, as_json: bool) -> None:
    """Solve the decision thresholds of a study's trials again and rank them, from stored evidence alone.

    Values are cross-fitted on the tuning split, with 95% intervals over patients; needs no images, weights or GPU.

    \b
    raysearch rethreshold
    raysearch rethreshold minmax_entropy-1 --metric iou,iou_accuracy@0.5
    raysearch rethreshold minmax_entropy-1 --metric f1_plus --trial 3 --per-class --json
    """
    from raysearch.study import open_study
    from raysearch.study import rethreshold as solve_again

    found = open_study(study)
    names = tuple(metric.split(",")) if metric is not None else ()
    table = solve_again(found, metrics=names, trial=trial, per_class=per_class)
    for problem in table.problems:
        click.echo(f"note: {problem}", err=True)
    if as_json:
        print_json(_plain(found.name, table))
        return
    click.echo(f"{found.name}: {found.config.method} on {found.config.data}, ranked by {table.metrics[0]}")
    for line in _lines(table):
        click.echo(line)
    click.echo("export writes the thresholds that the search chose, not these")


def _plain(name: str, table: Table) -> dict[str, object]:
    from raysearch.study import winner_json

    trials = [
        {
            "number": row.number,
            "value": row.value,
            "weights": row.weights,
            "metrics": {name: _finite(optimum) for name, optimum in row.optima.items()},
        }
        for row in table.rows
    ]
    return {
        "study": name,
        "metrics": list(table.metrics),
        "winners": table.winners,
        "corrected": {name: winner_json(found) for name, found in table.corrected.items()},
        "trials": trials,
        "problems": list(table.problems),
    }


def _finite(optimum: Optimum) -> dict[str, object]:
    """JSON has no NaN."""
    plain = dataclasses.asdict(optimum)
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in plain.items()}


def _lines(table: Table) -> list[str]:
    """The table, one column a metric, each winner marked; below it the winners and their thresholds."""
    from raysearch.study import winner_lines

    cells = [
        [_cell(row.optima.get(name), table.winners[name] == row.number) for name in table.metrics] for row in table.rows
    ]
    widths = [max(len(name) + 1, *(len(line[i]) for line in cells)) for i, name in enumerate(table.metrics)]
    heads = "  ".join(f" {name}".ljust(width) for name, width in zip(table.metrics, widths, strict=True))
    lines = [f"trial  {heads}".rstrip()]
    for row, line in zip(table.rows, cells, strict=True):
        shown = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        lines.append(f"{row.number:>5}  {shown}".rstrip())
    lines.append("")
    rows = {row.number: row for row in table.rows}
    for name, number in table.winners.items():
        winner = rows[number]
        thresholds = " ".join(f"{key}={value:.4f}" for key, value in winner.optima[name].thresholds.items())
        gone = "" if winner.weights else "; its weights are gone, so it cannot be exported"
        lines.append(f"best by {name}: trial {number}" + (f", {thresholds}" if thresholds else "") + gone)
        lines += [f"  {line}" for line in winner_lines(table.corrected.get(name))]
        optimum = winner.optima[name]
        lines += against_lines(optimum.against, optimum.notes, classes=name == table.metrics[0])
    return lines


def _cell(optimum: Optimum | None, best: bool) -> str:
    """``*0.8123 [0.780, 0.844] at 0.435``."""
    if optimum is None:
        return " -"
    bounds = "" if math.isnan(optimum.low) else f" [{optimum.low:.3f}, {optimum.high:.3f}]"
    shared = optimum.thresholds.get("mask_threshold")
    place = "" if shared is None else f" at {shared:.3f}"
    return f"{'*' if best else ' '}{optimum.value:.4f}{bounds}{place}"
