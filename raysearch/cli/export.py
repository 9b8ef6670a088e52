"""``raysearch export``: a folder that runs."""

from __future__ import annotations

from pathlib import Path

import click

from raysearch.cli._options import json_option, print_json, study_argument


@click.command()
@study_argument
@click.option("--out", required=True, metavar="DIR", type=click.Path(path_type=Path), help="Folder to write.")
@click.option("--trial", type=click.IntRange(min=0), metavar="N", help="Default: the best trial.")
@json_option
def export(study: str | None, out: Path, trial: int | None, as_json: bool) -> None:
    """Write a trial's model and thresholds to a folder that runs, scored once on the test split.

    \b
    raysearch export --out model
    raysearch export minmax_entropy-1 --out model --trial 7
    """
    from raysearch.export import export_study
    from raysearch.study import open_study

    exported = export_study(open_study(study), out, trial=trial)
    if as_json:
        print_json({"path": str(exported.path), **exported.results})
        return
    click.echo(f"wrote {exported.path}: trial {exported.trial}, test split of {exported.results['images']} images")
    for name, value in exported.results["metrics"].items():
        bounds = exported.results["intervals"].get(name)
        click.echo(f"  {name:<22} {value:.4f}" + (f"  [{bounds[0]:.4f}, {bounds[1]:.4f}]" if bounds else ""))
    if exported.looks > 1:
        click.echo(
            f"warning: look {exported.looks} at this test split; choosing by it makes it a tuning split", err=True
        )
    click.echo(f"next: raysearch predict {exported.path} IMAGE... --out masks")
