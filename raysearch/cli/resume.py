"""``raysearch resume``: go on with a study from its own records."""

from __future__ import annotations

import click

from raysearch.cli._options import study_argument


@click.command()
@study_argument
@click.option("--samples", type=click.IntRange(min=1), metavar="N", help="New total of trials.")
@click.option("--time", "time_budget", metavar="DURATION", help="New total of time, e.g. 2h.")
@click.option("--address", metavar="auto|HOST:PORT", help="Join a Ray cluster that is running; default: this machine.")
def resume(study: str | None, samples: int | None, time_budget: str | None, address: str | None) -> None:
    """Go on with a study that was stopped or killed; no finished trial runs again.

    \b
    raysearch resume                     the latest study
    raysearch resume minmax_entropy-1
    raysearch resume minmax_entropy-1 --samples 64
    """
    from raysearch.cli._search import resumable, run_and_report
    from raysearch.study import Cluster, extend, open_study, parse_address

    cluster = Cluster(parse_address(address))
    found = open_study(study)
    with resumable(found):
        run_and_report(extend(found, samples=samples, time_budget=time_budget), cluster)
