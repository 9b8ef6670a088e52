"""``raysearch status``: a study's trials, while it runs or after."""

from __future__ import annotations

from typing import Any

import click

from raysearch.cli._options import json_option, print_json, study_argument


@click.command()
@study_argument
@json_option
def status(study: str | None, as_json: bool) -> None:
    """Show a study's trials and its best one; works while it runs.

    \b
    raysearch status
    raysearch status minmax_entropy-1 --json
    """
    from raysearch.study import best_of, open_study, read_records

    found = open_study(study)
    config = found.config
    records = read_records(found)
    best = best_of(records, maximise=config.direction == "maximize")
    if as_json:
        print_json(
            {
                "study": config.name,
                "method": config.method,
                "preset": config.preset,
                "data": config.data,
                "metric": config.metric,
                "running": found.running,
                "samples": config.budget.samples,
                "best": None if best is None else _row(best),
                "trials": [_row(r) for r in records],
            }
        )
        return
    click.echo(f"{config.name}: {config.method} ({config.preset} preset) on {config.data}, {config.metric}")
    for record in records:
        value = "-" if record.value is None else f"{record.value:.4f}"
        params = " ".join(f"{k}={_short(v)}" for k, v in record.params.items())
        mark = "*" if best is not None and record.number == best.number else " "
        click.echo(
            f"{mark}{record.number:>4} {record.state:<9} {value:>7} {record.epochs:>4} epochs  {params} {record.reason}"
        )
    finished = sum(r.state != "running" for r in records)
    click.echo(f"{finished} of {config.budget.samples} trials finished{', running' if found.running else ''}")


def _row(record: Any) -> dict[str, Any]:
    return {
        "number": record.number,
        "state": record.state,
        "value": record.value,
        "params": record.params,
        "epochs": record.epochs,
        "reason": record.reason,
        "thresholds": record.result.get("thresholds", {}),
        "loss_thresholds": record.result.get("alternation", {}).get("thresholds", {}),
        "metrics": record.result.get("metrics", {}),
    }


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
