"""``raysearch data``: look at a data source before training on it."""

from __future__ import annotations

import click

from raysearch._text import counted
from raysearch.cli._options import json_option, print_json


@click.group()
def data() -> None:
    """Check a data source before training on it.

    \b
    raysearch data check phantom
    raysearch data check chestxray14:/data/nih,task=normal-vs-pneumonia,size=256
    """


@data.command()
@click.argument("source", metavar="KIND:PATH[,KEY=VALUE...]")
@json_option
def check(source: str, as_json: bool) -> None:
    """Count classes, regions and patients, and name every file that cannot be used; exits 2 if there are any.

    \b
    raysearch data check phantom
    raysearch data check covid_chestxray:/data/covid,task=lesions --json
    raysearch data check cls=phantom:task=normal-vs-abnormal,seg=phantom:task=lungs
    """
    from raysearch.data import JoinedSpec, check_joined, parse_data
    from raysearch.data import check as check_one
    from raysearch.errors import DataError

    spec = parse_data(source)
    report = check_joined(spec) if isinstance(spec, JoinedSpec) else check_one(spec)
    if as_json:
        print_json(report.as_dict())
    else:
        for line in report.lines():
            click.echo(line)
    if not report.ok:
        raise DataError(
            f"{counted(len(report.problems), 'problem')} in {report.source}, named above: mend or remove what they"
            " name, then check again"
        )
