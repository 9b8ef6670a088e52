"""Boxes in PASCAL VOC's XML form."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np

from raysearch.data._manifest import Boxes

_MOST_BYTES = 1_000_000


def read_head(path: Path) -> Boxes:
    """The boxes of all objects of a file. VOC counts pixels from 1 and its boxes hold both ends.

    Raises:
        ValueError: unreadable, no XML of this form, with a document type (which could define entities), without a box,
            or with one that is not inside the image, whose size the file may tell.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"oversized: more than {_MOST_BYTES:,} bytes")
        text = path.read_text("utf-8")
    except OSError as error:
        raise ValueError(error.strerror or "cannot be read") from None
    if "<!" in text:  # a document type defines entities; without one there is nothing to expand
        raise ValueError("a document type or comment, which these files do not have")
    try:
        tree = ET.fromstring(text)  # noqa: S314
        boxes = [[_number(box, name) for name in ("xmin", "ymin", "xmax", "ymax")] for box in tree.iter("bndbox")]
        size = tree.find("size")
        frame = None if size is None else (int(_number(size, "width")), int(_number(size, "height")))
    except ET.ParseError as error:
        raise ValueError(f"no XML ({error})") from None
    corners = np.array(boxes, np.float64).reshape(-1, 4)
    boxes_inside = (corners[:, :2] >= 0).all() and (corners[:, 2:] >= corners[:, :2]).all()
    if frame:
        boxes_inside &= min(frame) > 0 and (corners[:, 2:] <= frame).all()
    if len(corners) and boxes_inside and (corners <= 1).all():
        raise ValueError("boxes as shares of the image; expected pixels")
    if not len(corners) or not boxes_inside:
        raise ValueError("no box xmin, ymin, xmax, ymax inside its image")
    return Boxes(np.hstack([corners[:, :2] - 1, corners[:, 2:] - corners[:, :2] + 1]), frame)


def _number(element: ET.Element, name: str) -> float:
    value = float(element.findtext(name) or "")
    if not np.isfinite(value):
        raise ValueError(f"{name} is {value}")
    return value
