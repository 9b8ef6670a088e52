"""``raysearch tune``: prepare a study, run it, say what came out."""

from __future__ import annotations

from typing import Any

import click

from raysearch import _signals
from raysearch.cli._options import TEXT, request_options


@click.command()
@request_options
@click.option("--study", "name", type=TEXT, metavar="NAME", help="Name of the study; default: the method and a number.")
def tune(name: str | None, address: str | None, **request: Any) -> None:
    """Search a method's hyper-parameters and thresholds.

    \b
    raysearch tune --method minmax_entropy
    raysearch tune --method cam_avg --samples 32 --scheduler asha
    raysearch tune --method minmax_entropy --fix u=0 --set lr=log:1e-4:1e-1
    raysearch tune --method minmax_entropy --data chestxray14:/data/nih,task=normal-vs-pneumonia,size=128 --preset small
    """
    from raysearch.cli._search import prepare_request, resumable, run_and_report, show_notes
    from raysearch.study import Cluster, parse_address

    cluster = Cluster(parse_address(address))
    prepared = prepare_request({"name": name, **request}, cluster)
    from raysearch.study import save_study

    with _signals.deferred():  # a study is there as a whole or not at all
        study = save_study(prepared)
    with resumable(study):
        show_notes(prepared)
        del prepared  # it knows the labels of the test split, and nothing of a search may
        run_and_report(study, cluster)
