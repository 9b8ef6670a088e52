"""Evidence of kind ``regions``: how much of the grid a map takes, inside and outside the regions of known pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raysearch.thresholds._evidence import Column
from raysearch.thresholds._pairs import Pairs
from raysearch.thresholds._values import check_truth

POSITIVE = 0.5
"""A cell of at least this value is positive (paper 000, section 4)."""


@dataclass(frozen=True, kw_only=True)
class Regions(Pairs):
    """What thresholds inside a loss bound (paper 000, eq. 4 and 9 to 12), of R pairs whose label or region is known.

    All statistics are shares in [0, 1] of cells, so that they compare with `LossThreshold` values directly. Eq. 4 holds
    for an annotated pair where ``blob >= tau`` and ``positive_outside <= rho``. Statistics of a pair whose grid has a
    NaN are NaN; those of a region are NaN too where there is none.

    Attributes:
        annotated: (R,) bool, whether the region is known and covers a cell.
        total: (R,) float64, mean of the grid, S / P^2.
        inside: (R,) float64, its mean over the region's cells, S_in / |b|.
        outside: (R,) float64, its mean over the other cells, S_out / |b_bar|; 0 if there are none.
        blob: (R,) float64, cells of the largest 8-connected component of positive cells within the region, over |b|.
        positive_outside: (R,) float64, share of positive cells among the other cells; 0 if there are none.
    """

    kind: ClassVar[str] = "regions"
    columns: ClassVar[dict[str, Column]] = {
        **Pairs.columns,
        "annotated": (np.bool_, ()),
        "total": (np.float64, ()),
        "inside": (np.float64, ()),
        "outside": (np.float64, ()),
        "blob": (np.float64, ()),
        "positive_outside": (np.float64, ()),
    }

    annotated: NDArray[np.bool_]
    total: NDArray[np.float64]
    inside: NDArray[np.float64]
    outside: NDArray[np.float64]
    blob: NDArray[np.float64]
    positive_outside: NDArray[np.float64]

    def check(self) -> None:
        super().check()
        if self.annotated[~self.present].any():
            raise ValueError("an absent pair has no region, but one is annotated")
        for name in ("total", *_OF_REGION):
            values = getattr(self, name)
            values = values[~np.isnan(values)]
            if values.size and not 0 <= values.min() <= values.max() <= 1:
                raise ValueError(f"{name} must be shares in [0, 1], found {values.min()} to {values.max()}")
        for name in _OF_REGION:
            if (np.isnan(getattr(self, name)) != (np.isnan(self.total) | ~self.annotated)).any():
                raise ValueError(f"{name} must be known of the annotated pairs, and of no other")

    @classmethod
    def from_maps(
        cls,
        grid: NDArray[np.float32],
        cells: NDArray[np.bool_],
        truth: NDArray[np.int8],
        labels: NDArray[np.int8],
        rows: ArrayLike,
        patients: ArrayLike,
        classes: Sequence[str],
        *,
        inside: NDArray[np.bool_] | None = None,
    ) -> Regions:
        """Measures N images.

        Args:
            grid: (N, K, P, Q) float32 in [0, 1] of `Prediction.grid`.
            cells: (N, K, P, Q) bool, the cells of the region; read where `truth` is PRESENT.
            truth: (N, K) int8, PRESENT 1, ABSENT 0, UNKNOWN -1: of what is known of the region.
            labels: (N, K) int8 likewise: of what is known of the image. Where both are known, `truth` counts.
            rows: (N,) row of each image in the collection.
            patients: (N,) str.
            classes: K names.
            inside: (N, P, Q) bool, the cells that show some of the picture, at least one; the others lie in the padding
                of a picture that is not square, and count nowhere. None if all show it.

        Raises:
            ValueError: shapes, types or values do not fit, or the grid leaves [0, 1].
        """
        rows, patients = np.asarray(rows, np.int64), np.asarray(patients, np.str_)
        pairs = (len(rows), len(classes))
        if (
            grid.ndim != 4
            or cells.dtype != np.bool_
            or not grid.shape == cells.shape == (*pairs, *grid.shape[2:])
            or not truth.shape == labels.shape == pairs
            or patients.shape != rows.shape
        ):
            raise ValueError(
                f"expected grid and bool cells (N, K, P, Q), truth and labels (N, K) and N patients of {pairs[0]} rows "
                f"and {pairs[1]} classes; got {grid.shape}, {cells.dtype} {cells.shape}, {truth.shape}, {labels.shape} "
                f"and {patients.shape}"
            )
        check_truth("truth", truth)
        check_truth("labels", labels)
        whole = np.ones((pairs[0], *grid.shape[2:]), np.bool_) if inside is None else inside
        if whole.shape != (pairs[0], *grid.shape[2:]) or not whole.any(axis=(1, 2)).all():
            raise ValueError(f"expected cells (N, P, Q) of which some show the picture, got {whole.shape}")
        presence = np.where(truth >= 0, truth, labels)
        which, label = np.nonzero(presence >= 0)
        present = presence[which, label] > 0
        annotated = (truth[which, label] > 0) & cells[which, label].any(axis=(1, 2))
        of_region = np.full((len(_OF_REGION), len(which)), np.nan)
        places = which[annotated], label[annotated]
        of_region[:, annotated] = _measure(grid[places], cells[places], whole[places[0]])
        columns: dict[str, Any] = dict(zip(_OF_REGION, of_region, strict=True))
        return cls(
            classes=tuple(classes),
            image=rows[which],
            label=label.astype(np.int32),
            patient=patients[which],
            present=present,
            annotated=annotated,
            total=grid.mean(axis=(2, 3), dtype=np.float64, where=whole[:, None])[which, label],
            **columns,
        )


_OF_REGION = ("inside", "outside", "blob", "positive_outside")


def _measure(grid: NDArray[np.float32], cells: NDArray[np.bool_], whole: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(4, A): the statistics `_OF_REGION` of A maps (A, P, Q), regions of at least a cell, and the pictures' cells."""
    others = whole & ~cells
    inside = cells.sum(axis=(1, 2))
    outside = np.maximum(others.sum(axis=(1, 2)), 1)  # 0 / 1 where there is no other cell
    positive = grid >= POSITIVE
    out = np.stack(
        [
            grid.sum(axis=(1, 2), where=cells, dtype=np.float64) / inside,
            grid.sum(axis=(1, 2), where=others, dtype=np.float64) / outside,
            largest_blob(positive & cells) / inside,
            (positive & others).sum(axis=(1, 2)) / outside,
        ]
    )
    out[:, (np.isnan(grid) & whole).any(axis=(1, 2))] = np.nan
    return out


def largest_blob(positive: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(A,) cells of the largest 8-connected component of each of A masks (A, P, Q); 0 for an empty mask."""
    from scipy.ndimage import label  # takes a while, and most commands measure nothing

    structure = np.zeros((3, 3, 3), np.bool_)
    structure[1] = True  # layers are images: they do not touch
    components, count = label(positive, structure)
    layer = np.zeros(count + 1, np.int64)
    layer[components[positive]] = np.nonzero(positive)[0]
    sizes = np.bincount(components.ravel(), minlength=count + 1)
    largest = np.zeros(len(positive), np.int64)
    np.maximum.at(largest, layer[1:], sizes[1:])
    return largest
