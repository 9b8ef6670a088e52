"""``raysearch spaces``: what is searched, and where each value comes from."""

from __future__ import annotations

import click

from raysearch._text import counted, one_line
from raysearch.cli._options import json_option, print_json


@click.command()
@click.argument("method", required=False)
@click.option("--preset", type=click.Choice(["paper", "small"]), default="paper", show_default=True)
@click.option("--space", "file", metavar="FILE", help="A search-space file of your own: it is checked, too.")
@json_option
def spaces(method: str | None, preset: str, file: str | None, as_json: bool) -> None:
    """Show a method's search space with the source of every value; without METHOD, which presets there are.

    \b
    raysearch spaces
    raysearch spaces minmax_entropy --preset small
    raysearch spaces minmax_entropy --space my_space.yaml
    """
    from raysearch.method import load_method, method_names
    from raysearch.space import load_space, presets

    if method is None:
        listed = {name: list(presets(load_method(name))) for name in method_names()}
        if as_json:
            print_json(listed)
            return
        for name, found in listed.items():
            click.echo(f"{name:<18} {', '.join(found)}")
        return
    space = load_space(load_method(method), preset, file)
    rows = space.describe()
    if as_json:
        print_json({"method": method, "preset": space.preset, "file": space.file, "parameters": rows})
        return
    click.echo(
        f"{method}, {space.preset} preset ({space.file}): {counted(space.budget.samples, 'trial')} of"
        f" {counted(space.budget.epochs, 'epoch')}"
    )
    for row in rows:
        what = row["range"] or f"= {row['default']}"
        default = f"default {row['default']}" if row["range"] else ""
        when = f"when {row['when']}" if row["when"] else ""
        line = f"  {row['name']:<20} {row['kind']:<12} {what:<28} {default:<22} {when:<20} {row['source']}"
        click.echo(one_line(line))
