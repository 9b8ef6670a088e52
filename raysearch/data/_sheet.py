"""A sheet of a dozen images with their regions drawn in: people look before they read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from raysearch._draw import COLOURS, Box, Mark, draw
from raysearch.data._collection import ABSENT, PRESENT, UNKNOWN, Collection
from raysearch.data._ranked import ranked, shuffled

IMAGES = 12
_COLUMNS = 4
_TILE, _GAP, _LINE = 360, 12, 17
"""In pixels: side of an image, room between two, height of a line of text."""

_PAPER, _INK, _FAINT = (255, 255, 255), (20, 20, 20), (110, 110, 110)
_PADDING = ((58, 66, 92), (96, 106, 140))
"""Stripes of the padding, in no gray that a picture might have."""


def write_sheets(collection: Collection, folder: Path) -> list[Path]:
    """Writes ``sheet.png``, or ``NAME.png`` for each source of several, into an existing folder.

    Raises:
        OSError: it cannot be written.
    """
    named = zip(collection.sources, collection.parts, strict=True) if collection.sources else [("sheet", collection)]
    written = []
    for name, source in named:
        written.append(folder / f"{name}.png")
        Image.fromarray(sheet(source)).save(written[-1])
    return written


def sheet(collection: Collection) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: a dozen images by name, each with the outlines of its regions in the colours of the legend.
    Padding is striped. Classes take turns, and so do patients."""
    rows = sheet_rows(collection)
    shown = np.flatnonzero((collection.truth[rows] == PRESENT).any(axis=0)).tolist()
    colours = {label: COLOURS[place % len(COLOURS)] for place, label in enumerate(shown)}
    font = ImageFont.load_default(13)
    lines = -(-len(rows) // _COLUMNS)
    width = _COLUMNS * (_TILE + _GAP) + _GAP
    legend = _legend(collection, colours, width, font)
    height = legend.height + lines * (_TILE + 2 * _LINE + _GAP) + _GAP
    page = Image.new("RGB", (width, height), _PAPER)
    page.paste(legend, (0, 0))
    canvas = ImageDraw.Draw(page)
    for place, row in enumerate(rows.tolist()):
        x = _GAP + (place % _COLUMNS) * (_TILE + _GAP)
        y = legend.height + (place // _COLUMNS) * (_TILE + 2 * _LINE + _GAP)
        page.paste(Image.fromarray(_tile(collection, row, colours)), (x, y))
        for line, (text, ink) in enumerate(((collection.image_ids[row], _INK), (_said(collection, row), _FAINT))):
            canvas.text((x, y + _TILE + 2 + line * _LINE), _shortened(text, font, _TILE), fill=ink, font=font)
    return np.asarray(page)


def sheet_rows(collection: Collection) -> NDArray[np.int64]:
    """Up to `IMAGES` rows: regions of each class in turn and labels of each class in turn, then any others."""
    rows = np.arange(len(collection))
    has = np.concatenate([collection.truth == PRESENT, collection.labels == PRESENT], axis=1)
    order = np.concatenate([ranked(rows, has, collection.patients, 0), shuffled(rows, 0)])
    _, first = np.unique(order, return_index=True)
    return np.asarray(order[np.sort(first)][:IMAGES])


def _tile(collection: Collection, row: int, colours: dict[int, tuple[int, int, int]]) -> NDArray[np.uint8]:
    """(_TILE, _TILE, 3), an image with its regions; a region of boxes as boxes."""
    pixels = collection.images[row]
    pixels = np.repeat(pixels, 3, axis=0) if len(pixels) == 1 else pixels
    picture = np.asarray(Image.fromarray(pixels.transpose(1, 2, 0)).resize((_TILE, _TILE), Image.Resampling.BICUBIC))
    own = collection.inside(np.array([row]))
    if own is not None:
        picture = np.where(_enlarged(own[0])[..., None], picture, _stripes())
    marks = []
    for label in np.flatnonzero(collection.truth[row] == PRESENT).tolist():
        boxes = _boxes(collection, int(collection.mask_row[row, label]))
        mask = np.zeros((_TILE, _TILE), bool) if boxes else _enlarged(collection.mask(row, label) > 0)
        marks.append(Mark(mask=mask, boxes=boxes, text=collection.classes[label], colour=colours[label]))
    return draw(picture, marks, opacity=0)


def _boxes(collection: Collection, mask: int) -> list[Box]:
    """The boxes of a region at the size of a tile; none of a region that is a mask."""
    boxes, _ = collection.boxes_of(np.array([mask]))
    scaled = np.round(boxes * _TILE / max(collection.size)).astype(int)
    return [(x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)) for x1, y1, x2, y2 in scaled.tolist()]


def _enlarged(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(Image.fromarray(mask.astype(np.uint8)).resize((_TILE, _TILE), Image.Resampling.NEAREST)) > 0


def _stripes() -> NDArray[np.uint8]:
    diagonal = np.add.outer(np.arange(_TILE), np.arange(_TILE)) // 6 % 2
    return np.asarray(np.array(_PADDING, np.uint8)[diagonal])


def _said(collection: Collection, row: int) -> str:
    """Labels of an image, with a question mark at those whose region is unknown, and whether it has no region."""
    labels, truth = collection.labels[row], collection.truth[row]
    names = [
        name + (" ?" if region == UNKNOWN else "")
        for name, label, region in zip(collection.classes, labels, truth, strict=True)
        if label == PRESENT
    ]
    said = ", ".join(names) or ("no label" if (labels == UNKNOWN).all() else "none of the classes")
    return f"{said}; no region" if (truth == ABSENT).all() else said


def _legend(
    collection: Collection,
    colours: dict[int, tuple[int, int, int]],
    width: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> Image.Image:
    """The source's name, then a coloured square and the name of each class that is drawn."""
    keys = [(collection.classes[label], colour) for label, colour in colours.items()]
    keys += [("padding", _PADDING[1])] if collection.areas is not None else []
    places, x, y = [], _GAP, _GAP + _LINE + 6
    for name, _ in keys:
        room = 20 + int(font.getlength(name)) + 18
        if x + room > width and x > _GAP:
            x, y = _GAP, y + _LINE + 3
        places.append((x, y))
        x += room
    page = Image.new("RGB", (width, y + _LINE + _GAP), _PAPER)
    canvas = ImageDraw.Draw(page)
    title = (
        f"{collection.source} (? a region that is unknown)" if colours else f"{collection.source}: no region is known"
    )
    canvas.text((_GAP, _GAP - 2), _shortened(title, font, width - 2 * _GAP), fill=_INK, font=font)
    for (name, colour), (x, y) in zip(keys, places, strict=True):
        canvas.rectangle((x, y, x + 13, y + 13), fill=colour, outline=_INK)
        canvas.text((x + 20, y - 1), name, fill=_INK, font=font)
    return page


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """The text, without its middle where it is wider."""
    if font.getlength(text) <= width:
        return text
    kept = len(text) - 1
    while kept > 2 and font.getlength(f"{text[: kept // 2]}…{text[-(kept - kept // 2) :]}") > width:
        kept -= 1
    return f"{text[: kept // 2]}…{text[-(kept - kept // 2) :]}"
