"""``raysearch studies``: what there is."""

from __future__ import annotations

import click

from raysearch.cli._options import json_option, print_json


@click.command()
@json_option
def studies(as_json: bool) -> None:
    """List the studies in the studies folder (RAYSEARCH_STUDIES, or ./studies), each with its best value, and with what
    is left of that once it is known that it was chosen.

    \b
    raysearch studies
    raysearch studies --json
    """
    from raysearch.study import best_of as best_record
    from raysearch.study import corrected_winner, list_studies, open_study, read_records, studies_root

    rows = []
    for path in list_studies(studies_root()):
        study = open_study(path.name)
        records = read_records(study)
        best = best_record(records, maximise=study.config.direction == "maximize")
        won = corrected_winner(study, records)
        rows.append(
            {
                "study": study.name,
                "method": study.config.method,
                "data": study.config.data,
                "metric": study.config.metric,
                "best": None if best is None else best.value,
                "corrected": None if won is None else won.value.mean,
                "finished": sum(r.state != "running" for r in records),
                "samples": study.config.budget.samples,
                "running": study.running,
            }
        )
    if as_json:
        print_json(rows)
        return
    for row in rows:
        best_text = " ".join("-" if row[name] is None else f"{row[name]:.4f}" for name in ("best", "corrected"))
        state = "running" if row["running"] else ""
        click.echo(
            f"{row['study']:<28} {row['method']:<16} {row['finished']:>4}/{row['samples']:<4} {row['metric']}"
            f" {best_text:<14} {state:<8}{row['data']}"
        )
    if not rows:
        click.echo(f"no study in {studies_root()}: 'raysearch tune --method NAME' makes one")
