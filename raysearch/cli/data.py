"""``raysearch data``: look at a data source before training on it."""

from __future__ import annotations

from pathlib import Path

import click

from raysearch._text import counted, one_line
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
@click.option(
    "--pictures",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder for a sheet of a dozen images with their regions drawn in.",
)
@json_option
def check(source: str, pictures: Path | None, as_json: bool) -> None:
    """Count classes, regions and patients, say what looks wrong at a glance, name images that show one picture, and
    name every file that cannot be used; exits 2 if there are any.

    \b
    raysearch data check phantom
    raysearch data check covid_chestxray:/data/covid,task=lesions --json
    raysearch data check chestxray14:/data/nih,size=256 --pictures look
    raysearch data check cls=phantom:task=normal-vs-abnormal,seg=phantom:task=lungs
    """
    from raysearch.data import JoinedSpec, check_joined, open_collection, parse_data, write_sheets
    from raysearch.data import check as check_one
    from raysearch.errors import DataError
    from raysearch.export._folder import new_folder, refuse_taken

    spec = parse_data(source)
    if pictures is not None:
        refuse_taken(pictures, "--pictures")
    report = check_joined(spec) if isinstance(spec, JoinedSpec) else check_one(spec)
    drawn: list[str] = []
    if pictures is not None and report.ok:
        with new_folder(pictures, "--pictures") as folder:
            drawn = [str(pictures / path.name) for path in write_sheets(open_collection(spec, "multi"), folder)]
    if as_json:
        print_json(report.as_dict() | ({} if pictures is None else {"pictures": drawn}))
    else:
        for line in [*report.lines(), *([f"wrote {' and '.join(drawn)}"] if drawn else [])]:
            click.echo(one_line(line))
    if not report.ok:
        raise DataError(
            f"{counted(len(report.problems), 'problem')} in {report.source}, named above: mend or remove what they"
            f" name, then check again{'' if pictures is None else '; no pictures were drawn'}"
        )
