"""``raysearch methods``: what can be searched."""

from __future__ import annotations

import click

from raysearch.cli._options import json_option, print_json


@click.command()
@json_option
def methods(as_json: bool) -> None:
    """List the methods that can be searched, ours and those of other installed packages.

    \b
    raysearch methods
    """
    from raysearch.method import load_method, method_names

    rows = []
    for name in method_names():
        method = load_method(name)
        rows.append({"method": name, "title": method.title, "view": method.view, "supervision": method.supervision})
    if as_json:
        print_json(rows)
        return
    for row in rows:
        click.echo(f"{row['method']:<18} {row['view']:<6} {row['supervision']:<6} {row['title']}")
