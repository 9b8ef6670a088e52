"""``raysearch verify``: the exported numbers again."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from raysearch.cli._options import json_option, print_json


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--data", metavar="KIND:PATH[,KEY=VALUE...]", help="Where the data is now; default: where it was.")
@json_option
def verify(folder: Path, data: str | None, as_json: bool) -> None:
    """Score an exported model again and compare with its results.json; exits 1 if a number differs by more than 1e-6.

    \b
    raysearch verify model
    raysearch verify model --data chestxray14:/mnt/nih,task=normal-vs-pneumonia,size=128
    """
    from raysearch.export import load_bundle, verify_bundle

    comparison = verify_bundle(load_bundle(folder), data)
    if as_json:
        print_json({"ok": comparison.ok, "largest_difference": comparison.largest, "metrics": comparison.values})
    else:
        for name, (before, again) in comparison.values.items():
            click.echo(f"  {name:<22} {before:.6f}  {again:.6f}")
        verdict = "the same to 1e-6" if comparison.ok else f"DIFFERENT by up to {comparison.largest:.2e}"
        click.echo(f"{folder}: {verdict}")
    if not comparison.ok:
        sys.exit(1)
