"""``raysearch predict``: masks of new images."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from raysearch._text import counted
from raysearch.cli._options import json_option, print_json


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, metavar="OUT", type=click.Path(path_type=Path), help="Folder for masks, overlays, CSV."
)
@click.option(
    "--bits",
    type=click.Choice(["8", "10", "12", "14", "16"]),
    help="How many bits the values in 16-bit files have. Without: as in the model's data, or by the file itself.",
)
@json_option
def predict(folder: Path, images: tuple[Path, ...], out: Path, bits: str | None, as_json: bool) -> None:
    """Predict masks of images (files, or folders of them) with an exported model.

    \b
    raysearch predict model scan.png --out masks
    raysearch predict model /data/new_scans --out masks
    """
    from raysearch.export import load_bundle, predict_images

    rows = []
    notes: Counter[str] = Counter()
    last = None
    for p in predict_images(load_bundle(folder), images, out, int(bits) if bits else None):
        if p.source != last:  # an image may have several answers
            notes.update(p.notes)
        last = p.source
        if not as_json:
            name = str(p.source).replace("\n", "\\n")
            click.echo(f"{name}: {p.label} ({p.score:.2f}), mask {100 * p.area:.1f}% of the image")
        rows.append(
            {
                "image": str(p.source),
                "class": p.label,
                "score": p.score,
                "threshold": p.threshold,
                "area": p.area,
                "box": p.box,
                "boxes": p.boxes,
                "notes": p.notes,
            }
        )
    if as_json:
        print_json(rows)
    else:
        for note, count in notes.items():
            click.echo(f"note: {counted(count, 'image')}: {note}")
        click.echo(f"wrote {counted(len(rows), 'mask')}, overlays and {out / 'predictions.csv'}")
