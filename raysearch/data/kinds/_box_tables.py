"""What the four numbers of a box mean, by the header of their table, and what they are pixels of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_CORNERS = (
    ("xmin", "ymin", "xmax", "ymax"),
    ("minx", "miny", "maxx", "maxy"),
    ("x1", "y1", "x2", "y2"),
    ("x0", "y0", "x1", "y1"),
    ("left", "top", "right", "bottom"),
)
_SIZES = tuple(
    (*corner, *size)
    for corner in (("x", "y"), ("xmin", "ymin"), ("x1", "y1"), ("x0", "y0"), ("left", "top"))
    for size in (("w", "h"), ("width", "height"))
)


class BoxForm(NamedTuple):
    """`columns` of left, top and of width, height, or with `corners` of right, bottom."""

    columns: tuple[int, ...]
    corners: bool

    def boxes(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """(B, 4) left, top, width, height of (B, 4) numbers in the order of `columns`."""
        return np.hstack([numbers[:, :2], numbers[:, 2:] - numbers[:, :2]]) if self.corners else numbers


def box_form(header: Sequence[str]) -> BoxForm | None:
    """The form of boxes under a header; None if it does not tell.

    >>> box_form(["Bbox [x", "y", "w", "h]", "", ""]), box_form(["x_min", "x_max", "y_min", "y_max"])
    (BoxForm(columns=(0, 1, 2, 3), corners=False), BoxForm(columns=(0, 2, 1, 3), corners=True))
    """
    names = [_name(cell) for cell in ",".join(header).split(",")]
    for corners, forms in ((True, _CORNERS), (False, _SIZES)):
        for form in forms:
            if all(names.count(name) == 1 for name in form):
                return BoxForm(tuple(names.index(name) for name in form), corners)
    return None


def _name(cell: str) -> str:
    word = "".join(letter for letter in cell.lower().replace("bbox", "") if letter.isalnum())
    return word.removeprefix("box")


def fits_its_file(
    boxes: Mapping[str, Iterable[Sequence[float]]], files: Mapping[str, Path], frame: tuple[int, int]
) -> str:
    """Whether boxes may be pixels of the images as they are in their files rather than of `frame`: some images have
    another size, and every box is inside its own. The size of one, ``WxH``; empty if they cannot be.

    Args:
        boxes: image -> (left, top, width, height) each.
        files: image -> file; of images that are there.
    """
    other = ""
    for image, found in boxes.items():
        size = _picture_size(files[image]) if image in files else None
        if size is None:
            continue
        if any(x + w >= size[0] + 1 or y + h >= size[1] + 1 for x, y, w, h in found):
            return ""
        if size != frame:
            other = other or f"{size[0]}x{size[1]}"
    return other


def _picture_size(path: Path) -> tuple[int, int] | None:
    """Of the file's header; None if it cannot be read, which is told when the picture is."""
    try:
        with Image.open(path) as image:
            return image.size
    except Exception:  # damaged bytes are answered with a dozen exception types
        return None
