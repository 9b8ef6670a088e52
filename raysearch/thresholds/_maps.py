"""Evidence of kind ``maps``: the quantised maps themselves, with the regions as packed bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from raysearch.thresholds._evidence import Column
from raysearch.thresholds._pairs import FromMaps, MapPairs
from raysearch.thresholds._sweep import Sweep


@dataclass(frozen=True, kw_only=True)
class Maps(Sweep, FromMaps):
    """Maps and regions of R known pairs: for what depends on where a pixel lies (Hausdorff distances, structural
    similarity, dense CRF, pictures). 9/8 byte a pixel before compression: collected only on demand.

    Attributes:
        maps: (R, H, W) uint8 of `quantise`; 0 in the padding of a picture that is not square.
        area: (R, 4) int32, half-open x1, y1, x2, y2: the picture's own pixels.
        packed: (R, ceil(H W / 8)) uint8, region bits row by row, the first the highest; all zero for ABSENT pairs.
    """

    kind: ClassVar[str] = "maps"
    columns: ClassVar[dict[str, Column]] = {
        **Sweep.columns,
        "maps": (np.uint8, (None, None)),
        "area": (np.int32, (4,)),
        "packed": (np.uint8, (None,)),
    }

    maps: NDArray[np.uint8]
    area: NDArray[np.int32]
    packed: NDArray[np.uint8]

    def check(self) -> None:
        super().check()
        height, width = self.maps.shape[1:]
        if self.packed.shape[1] != -(-height * width // 8):
            raise ValueError(f"regions of {height} x {width} maps do not have {self.packed.shape[1]} bytes")
        if self.packed[~self.present].any():
            raise ValueError("an absent pair has no region, but bits are set for one")

    @classmethod
    def from_pairs(cls, pairs: MapPairs) -> Self:
        size = pairs.maps.shape[2:]
        quantised = np.zeros((len(pairs), *size), np.uint8)
        packed = np.zeros((len(pairs), -(-size[0] * size[1] // 8)), np.uint8)
        areas = pairs.areas[pairs.which].astype(np.int32)
        for r, (own, region) in enumerate(pairs):
            window = _window(areas[r])
            quantised[r][window] = own
            if region is not None:
                whole = np.zeros(size, np.bool_)
                whole[window] = region
                packed[r] = np.packbits(whole)
        return cls(**pairs.index, maps=quantised, area=areas, packed=packed)

    def cut(self, row: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Map and region (h, w) of a pair, without the padding."""
        window = _window(self.area[row])
        bits = np.unpackbits(self.packed[row], count=self.maps[row].size)
        return self.maps[row][window], bits.reshape(self.maps[row].shape).astype(np.bool_)[window]

    def regions(self) -> NDArray[np.bool_]:
        """(R, H, W)."""
        bits = np.unpackbits(self.packed, axis=1, count=self.maps[0].size if len(self) else 0)
        return bits.reshape(self.maps.shape).astype(np.bool_)


def _window(area: NDArray[np.int32]) -> tuple[slice, slice]:
    x1, y1, x2, y2 = area.tolist()
    return slice(y1, y2), slice(x1, x2)
