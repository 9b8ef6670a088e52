"""Whether boxes can be of their picture."""

from __future__ import annotations

from raysearch.data._image_file import UnreadableError
from raysearch.data._manifest import Boxes

_BEYOND = 0.01
"""Share of a side by which a box may reach beyond it, at least a pixel: sides and boxes are rounded."""


def refuse_misplaced(region: Boxes, source: tuple[int, int]) -> None:
    """Refuses boxes that are of another picture, or written in another way than they were read.

    Args:
        source: (width, height) of the picture as it is in its file, in pixels.

    Raises:
        UnreadableError: a box outside its frame or reaching beyond it, or one smaller than a pixel of it.
    """
    frame = region.frame or source
    wide, high = (max(1.0, _BEYOND * side) for side in frame)
    for x, y, width, height in region.boxes.tolist():
        box = f"box [{x:g}, {y:g}, {width:g}, {height:g}]"
        image = f"the image of {frame[0]}x{frame[1]}"
        if not (x < frame[0] and y < frame[1] and x + width > 0 and y + height > 0):
            raise UnreadableError(f"{box} is outside {image}; expected left, top, width and height in pixels")
        if x < -wide or y < -high or x + width > frame[0] + wide or y + height > frame[1] + high:
            raise UnreadableError(
                f"{box} reaches beyond {image}, to {x + width:g} and {y + height:g}; expected left, top, width and "
                "height in pixels of this image: are these corners, or was the image resized and its box not?"
            )
        if width < 1 and height < 1:
            raise UnreadableError(f"{box} is smaller than a pixel; expected pixels of {image}, not shares of it")
