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
        UnreadableError: a frame of another shape than the picture, a box outside its frame or reaching beyond it, one
            smaller than a pixel of it, or in shares of it.
    """
    frame = region.frame or source
    if not is_rescale(frame, source):
        raise UnreadableError(
            f"boxes are of an image of {frame[0]}x{frame[1]}, the image is {source[0]}x{source[1]}, of another shape:"
            " was it cropped, stretched or turned, and its boxes not?"
        )
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
        if are_shares(x, y, width, height):
            raise UnreadableError(f"{box} is smaller than a pixel; expected pixels of {image}, not shares of it")


def are_shares(x: float, y: float, width: float, height: float) -> bool:
    """Whether these are shares of an image rather than pixels: all in its first pixel, or smaller than one."""
    return (width < 1 and height < 1) or max(x, y, width, height) <= 1


def is_rescale(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether one size is the other one scaled. Of what was shrunk sides are rounded: a pixel of the coarser one."""
    return abs(one[0] * other[1] - one[1] * other[0]) <= max(one[0], other[0])
