"""``raysearch stop``: ask a running study to stop."""

from __future__ import annotations

import time

import click

from raysearch.cli._options import FiniteRange, study_argument


@click.command()
@study_argument
@click.option("--wait", default=60.0, show_default=True, type=FiniteRange(min=0), help="Seconds to wait for it to end.")
def stop(study: str | None, wait: float) -> None:
    """Stop a running study; what was finished is kept and 'raysearch resume' goes on.

    \b
    raysearch stop
    raysearch stop minmax_entropy-1
    """
    from raysearch.errors import RaysearchError, StudyError
    from raysearch.study import open_study

    found = open_study(study)
    if not found.running:
        raise StudyError(f"study '{found.name}' is not running; 'raysearch status {found.typed}' shows it")
    found.stop_file.touch()
    deadline = time.monotonic() + wait
    while found.running:
        if time.monotonic() > deadline:
            raise RaysearchError(f"study '{found.name}' has not ended within {wait:g} s; {found.log} says why")
        time.sleep(0.2)
    click.echo(f"stopped; go on with: raysearch resume {found.typed}")
