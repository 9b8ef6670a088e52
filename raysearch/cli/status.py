"""``raysearch status``: a study's trials, while it runs or after."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from raysearch._text import counted, one_line
from raysearch.cli._options import json_option, print_json, study_argument

if TYPE_CHECKING:
    from raysearch.study import Repeats, Study


@click.command()
@study_argument
@click.option(
    "--mean-over",
    metavar="NAME",
    help="Take trials together that differ in this parameter alone: number, mean and 95% interval of each group.",
)
@json_option
def status(study: str | None, mean_over: str | None, as_json: bool) -> None:
    """Show a study's trials and its best one; works while it runs.

    \b
    raysearch status
    raysearch status minmax_entropy-1 --json
    raysearch status chexseg-1 --mean-over subset
    """
    from raysearch.cli._trivial import class_lines, trial_lines
    from raysearch.study import (
        beside_trivial,
        best_of,
        corrected_winner,
        open_study,
        plain_by_class,
        read_records,
        winner_json,
        winner_lines,
    )
    from raysearch.study import mean_over as group_trials

    found = open_study(study)
    config = found.config
    records = read_records(found)
    maximise = config.direction == "maximize"
    best = best_of(records, maximise=maximise)
    if mean_over is not None:
        _show_groups(found, mean_over, group_trials(records, mean_over, maximise=maximise), as_json=as_json)
        return
    won = corrected_winner(found, records)
    beside = None if best is None else beside_trivial(found, best, won)
    if as_json:
        print_json(
            {
                "study": found.name,
                "method": config.method,
                "preset": config.preset,
                "data": config.data,
                "metric": config.metric,
                "running": found.running,
                "samples": config.budget.samples,
                "best": None if best is None else {**_row(best), "notes": list(beside.notes) if beside else []},
                "winner": winner_json(won),
                "trials": [_row(r) for r in records],
            }
        )
        return
    click.echo(f"{found.name}: {config.method} ({config.preset} preset) on {config.data}, {config.metric}")
    for record in records:
        value = "-" if record.value is None else f"{record.value:.4f}"
        params = _line(record.params)
        mark = "*" if best is not None and record.number == best.number else " "
        epochs = counted(record.epochs, "epoch")
        row = f"{mark}{record.number:>4} {record.state:<9} {value:>7} {epochs:>11}  {params} {record.reason}"
        click.echo(one_line(row))
    finished = sum(r.state != "running" for r in records)
    running = ", running" if found.running else ""
    click.echo(f"{finished} of {counted(config.budget.samples, 'trial')} finished{running}")
    if best is not None:
        lines = winner_lines(won)
        click.echo(f"best: trial {best.number}, {config.metric} {best.value:.4f}")
        by_class = class_lines(config.metric, plain_by_class(found, best))
        for line in [*(f"  {line}" for line in lines), *by_class, *trial_lines(beside)]:
            click.echo(line)


def _show_groups(study: Study, name: str, groups: list[Repeats], *, as_json: bool) -> None:
    config = study.config
    if as_json:
        told = {"study": study.name, "method": config.method, "metric": config.metric, "mean_over": name}
        print_json({**told, "groups": [dataclasses.asdict(group) for group in groups]})
        return
    click.echo(f"{study.name}: {config.method} on {config.data}, mean {config.metric} over {name}")
    for group in groups:
        bounds = "" if group.low is None else f" [{group.low:.4f}, {group.high:.4f}]"
        of = counted(len(group.numbers), "trial")
        click.echo(one_line(f" {group.mean:.4f}{bounds} of {of}  {_line(group.params)}"))


def _line(params: dict[str, Any]) -> str:
    return " ".join(f"{name}={_short(value)}" for name, value in params.items())


def _row(record: Any) -> dict[str, Any]:
    return {
        "number": record.number,
        "state": record.state,
        "value": record.value,
        "params": record.params,
        "epochs": record.epochs,
        "reason": record.reason,
        "same_as": record.same_as,
        "thresholds": record.result.get("thresholds", {}),
        "loss_thresholds": record.result.get("alternation", {}).get("thresholds", {}),
        "metrics": record.result.get("metrics", {}),
        "against_trivial": record.result.get("against_trivial"),
    }


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
