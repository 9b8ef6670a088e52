"""How a picture of any shape becomes a square: one transform for images, masks, boxes and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FitMode = Literal["pad", "crop", "stretch"]
"""How a picture that is not square becomes one. ``pad``: the long side becomes `size` pixels, the aspect ratio is kept,
the picture is centred and the rest of the canvas is zero. ``crop``: the short side becomes `size` pixels, what the long
one has beyond the middle is left out. ``stretch``: both sides become `size` pixels."""

FIT_MODES: tuple[FitMode, ...] = get_args(FitMode)


@dataclass(frozen=True)
class Fit:
    """Where a picture of (width, height) pixels lands on a size x size canvas."""

    source: tuple[int, int]
    size: int
    mode: FitMode = "pad"

    @property
    def cut(self) -> tuple[int, int, int, int]:
        """(left, top, right, bottom), half-open: what of the picture is used, in its own pixels."""
        width, height = self.source
        if self.mode != "crop":
            return 0, 0, width, height
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        return left, top, left + side, top + side

    @property
    def placed(self) -> tuple[int, int]:
        """(width, height) on the canvas of what is used, at least one pixel each."""
        if self.mode != "pad":
            return self.size, self.size
        longest = max(self.source)
        return max(1, round(self.source[0] * self.size / longest)), max(1, round(self.source[1] * self.size / longest))

    @property
    def offset(self) -> tuple[int, int]:
        """(left, top) of it on the canvas."""
        width, height = self.placed
        return (self.size - width) // 2, (self.size - height) // 2

    @property
    def area(self) -> tuple[int, int, int, int]:
        """(x1, y1, x2, y2), half-open: the picture's own pixels on the canvas."""
        (width, height), (left, top) = self.placed, self.offset
        return left, top, left + width, top + height

    @property
    def window(self) -> tuple[slice, slice]:
        """`area` as (rows, columns)."""
        x1, y1, x2, y2 = self.area
        return slice(y1, y2), slice(x1, x2)

    def resized(self, image: Image.Image, resample: Image.Resampling) -> Image.Image:
        """A picture of the source's size as it stands in the window."""
        whole = (0, 0, *self.source)
        return (
            image if (self.cut, self.placed) == (whole, image.size) else image.resize(self.placed, resample, self.cut)
        )

    def to_canvas(self, points: NDArray[np.float64], frame: tuple[int, int]) -> NDArray[np.float64]:
        """(P, 2) x, y in pixels of a copy of the picture of size `frame`, (width, height), as pixels of the canvas."""
        left, top, right, bottom = self.cut
        scale = np.divide(self.placed, (right - left, bottom - top))
        # one factor and one shift: of frames of 1024 pixels on canvases of 64, 128 or 512 both are exact
        shift = np.array(self.offset) - np.array([left, top]) * scale
        return np.asarray(points * (np.divide(self.source, frame) * scale) + shift)

    def to_source(self, values: NDArray[Any]) -> NDArray[Any]:
        """(size, size) bool or uint8 of the canvas as (height, width) of the picture, each pixel the nearest one's; 0
        in what a crop leaves out."""
        left, top, right, bottom = self.cut
        part = Image.fromarray(values[self.window].astype(np.uint8))
        out = np.zeros((self.source[1], self.source[0]), values.dtype)
        out[top:bottom, left:right] = np.asarray(part.resize((right - left, bottom - top), Image.Resampling.NEAREST))
        return out
