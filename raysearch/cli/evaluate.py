"""``raysearch evaluate``: an exported model on other data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from raysearch._text import counted
from raysearch.cli._options import json_option, print_json
from raysearch.cli._results import baseline_option, echo_metrics, echo_reference, reference_option

if TYPE_CHECKING:
    from raysearch.export import Part


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--data", required=True, metavar="KIND:PATH[,KEY=VALUE...]", help="The other data, with the same classes."
)
@click.option(
    "--part",
    type=click.Choice(["all", "train", "valid", "test"]),
    default="all",
    show_default=True,
    help="Images of one published part of the data alone.",
)
@reference_option
@baseline_option
@json_option
def evaluate(folder: Path, data: str, part: Part, reference: Path | None, baseline: Path | None, as_json: bool) -> None:
    """Score an exported model on other data with its own weights and thresholds: another hospital, another domain.

    \b
    raysearch evaluate model --data kermany:/data/chest_xray,task=normal-vs-pneumonia,size=128 --part test
    raysearch evaluate model --data seg=montgomery:/data/montgomery,task=lungs,size=128
    raysearch evaluate model --data phantom:seed=1,size=64 --reference readers.csv --baseline weak
    """
    from raysearch.export import evaluate_bundle, load_bundle

    scores = evaluate_bundle(load_bundle(folder), data, part=part, reference=reference, baseline=baseline)
    if scores["seen"]:
        click.echo(
            f"warning: {scores['seen']} of these {counted(scores['images'], 'image')}"
            f" {'has' if scores['seen'] == 1 else 'have'} the name of one that the model, or the baseline, was trained"
            " or tuned on; if they are the same, the numbers are too good",
            err=True,
        )
    if as_json:
        print_json(scores)
        return
    click.echo(f"{folder} on {scores['data']}: {counted(scores['images'], 'image')}")
    echo_metrics(scores)
    if "reference" in scores:
        echo_reference(scores["reference"])
