"""``raysearch export``: a folder that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from raysearch._text import counted
from raysearch.cli._options import json_option, print_json, study_argument
from raysearch.cli._results import baseline_option, echo_metrics, echo_reference, reference_option


@click.command()
@study_argument
@click.option("--out", required=True, metavar="DIR", type=click.Path(path_type=Path), help="Folder to write.")
@click.option("--trial", type=click.IntRange(min=0), metavar="N", help="Default: the best trial.")
@click.option(
    "--fix",
    "fixes",
    multiple=True,
    metavar="NAME=VALUE",
    help="Another value of a post-processing setting, for the same network. Repeatable.",
)
@click.option(
    "--thresholds-on",
    type=click.Choice(["tuning", "test"]),
    default="tuning",
    show_default=True,
    help="test: also the optimistic numbers at thresholds chosen on the test images, as some papers have them.",
)
@reference_option
@baseline_option
@json_option
def export(
    study: str | None,
    out: Path,
    trial: int | None,
    fixes: tuple[str, ...],
    thresholds_on: Literal["tuning", "test"],
    reference: Path | None,
    baseline: Path | None,
    as_json: bool,
) -> None:
    """Write a trial's model and thresholds to a folder that runs, scored once on the test split.

    \b
    raysearch export --out model
    raysearch export minmax_entropy-1 --out model --trial 7
    raysearch export chexseg-1 --out model --reference readers.csv --baseline weak
    raysearch export saliency_proposals-1 --out model --thresholds-on test
    raysearch export saliency_proposals-1 --out sal-model --fix map=sal
    """
    from raysearch.export import export_study
    from raysearch.study import open_study

    exported = export_study(
        open_study(study),
        out,
        trial=trial,
        fixes=fixes,
        thresholds_on=thresholds_on,
        reference=reference,
        baseline=baseline,
    )
    if as_json:
        print_json({"path": str(exported.path), **exported.results})
        return
    other = f" with {', '.join(fixes)}" if fixes else ""
    click.echo(
        f"wrote {exported.path}: trial {exported.trial}{other}, test split of"
        f" {counted(exported.results['images'], 'image')}"
    )
    echo_metrics(exported.results)
    for line in (exported.results["overtuning"] or {"says": []})["says"]:
        click.echo(line)
    if "optimistic" in exported.results:
        click.echo("optimistic, at thresholds chosen on these very images (not the model's):")
        echo_metrics(exported.results["optimistic"])
    if "reference" in exported.results:
        echo_reference(exported.results["reference"])
    if exported.looks > 1:
        click.echo(
            f"warning: look {exported.looks} at this test split; choosing by it makes it a tuning split", err=True
        )
    click.echo(f"next: raysearch predict {exported.path} IMAGE... --out masks")
