"""``raysearch resume``: go on with a study from its own records."""

from __future__ import annotations

from typing import Any

import click

from raysearch.cli._options import FiniteRange, study_argument


@click.command()
@study_argument
@click.option("--samples", type=click.IntRange(min=1), metavar="N", help="New total of trials.")
@click.option("--time", "time_budget", metavar="DURATION", help="New total of time, e.g. 2h.")
@click.option("--trial-time", metavar="DURATION", help="New limit to the time that a trial trains.")
@click.option("--step-time", metavar="DURATION", help="New time without a finished step after which a trial hangs.")
@click.option("--workers-per-trial", type=click.IntRange(min=1), metavar="N", help="Ray Train workers a trial.")
@click.option("--cpus-per-worker", type=click.IntRange(min=1), metavar="N", help="Cores a worker.")
@click.option("--gpus-per-worker", type=FiniteRange(min=0), metavar="N", help="GPUs a worker; 0 trains on CPUs.")
@click.option("--slots", type=click.IntRange(min=1), metavar="N", help="Trials at a time.")
@click.option("--address", metavar="auto|HOST:PORT", help="Join a Ray cluster that is running; default: this machine.")
def resume(study: str | None, address: str | None, **changes: Any) -> None:
    """Go on with a study that was stopped or killed; no finished trial runs again.

    \b
    raysearch resume                     the latest study
    raysearch resume minmax_entropy-1
    raysearch resume minmax_entropy-1 --samples 64
    raysearch resume minmax_entropy-1 --gpus-per-worker 0     made where a GPU was

    What an option leaves out stays as it was; what changes is noted in study.yaml.
    """
    from raysearch.cli._search import resumable, run_and_report
    from raysearch.study import Changes, Cluster, extend, open_study, parse_address

    cluster = Cluster(parse_address(address))
    before = open_study(study)
    with resumable(before):
        after = extend(before, Changes(**changes), cluster.machine())
        for change in after.config.changes[len(before.config.changes) :]:
            click.echo(f"note: {change.partition(': ')[2]}", err=True)
        run_and_report(after, cluster)
