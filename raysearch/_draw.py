"""Pictures for people: an image with masks, boxes and their labels, and a map as colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

OPACITY = 0.4
COLOURS = (
    *((255, 64, 32), (0, 158, 255), (255, 200, 0), (0, 200, 120), (214, 92, 255), (255, 140, 190)),
    *((120, 230, 230), (170, 220, 60)),
)
"""Of the classes in turn."""

Box = tuple[int, int, int, int]
"""(x1, y1, x2, y2) in pixels, half-open: x2 - x1 columns and y2 - y1 rows."""


@dataclass(frozen=True)
class Mark:
    """What is drawn of a class.

    Attributes:
        mask: (H, W) bool.
        boxes: inside the picture.
        text: written at each box.
        colour: red, green, blue, each 0..255.
    """

    mask: NDArray[np.bool_]
    boxes: Sequence[Box]
    text: str
    colour: tuple[int, int, int]


def draw(picture: NDArray[np.uint8], marks: Sequence[Mark], opacity: float = OPACITY) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: the picture (H, W, 3) with each mask laid over it with `opacity` and outlined, its boxes on top,
    and at each box its text where the picture has room for it."""
    painted = picture.astype(np.float32)
    for mark in marks:
        colour = np.array(mark.colour, np.float32)
        painted[mark.mask] = (1 - opacity) * painted[mark.mask] + opacity * colour
    for mark in marks:
        painted[_edge(mark.mask)] = mark.colour
    image = Image.fromarray(painted.round().astype(np.uint8))
    canvas = ImageDraw.Draw(image)
    width = max(1, round(max(image.size) / 400))
    for mark in marks:
        for x1, y1, x2, y2 in mark.boxes:
            canvas.rectangle((x1, y1, x2 - 1, y2 - 1), outline=mark.colour, width=width)
    font = ImageFont.load_default(max(10, image.height // 40))
    for mark in marks:
        for box in mark.boxes:
            _write(canvas, image.size, font, box, mark)
    return np.asarray(image)


def heat_map(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 colours of a map (H, W): black, red, yellow, white as it rises from 0 to 255. The mean of red,
    green and blue is the value."""
    ramp = 3 * values.astype(np.int32)[..., None] - np.array([0, 255, 510])
    colours: NDArray[np.uint8] = ramp.clip(0, 255).astype(np.uint8)
    return colours


def _edge(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of the mask on the picture's border or beside a pixel that is not in it."""
    inside = mask.copy()
    inside[1:-1, 1:-1] &= mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    return np.asarray(mask & ~inside)


def _write(
    canvas: ImageDraw.ImageDraw,
    size: tuple[int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    box: Box,
    mark: Mark,
) -> None:
    """The text on the class's colour, above the box, or inside where there is no room above."""
    left, top, right, bottom = canvas.textbbox((0, 0), mark.text, font=font)
    width, height = int(right - left) + 4, int(bottom - top) + 4
    if width > size[0] or height > size[1] / 4:
        return
    x = min(box[0], size[0] - width)
    y = box[1] - height if box[1] >= height else min(box[1], size[1] - height)
    canvas.rectangle((x, y, x + width - 1, y + height - 1), fill=mark.colour)
    canvas.text((x + 2 - left, y + 2 - top), mark.text, fill=(0, 0, 0), font=font)
