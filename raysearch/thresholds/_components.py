"""Evidence of kind ``components``: what every box rule makes of a map at every threshold, beside the truth boxes."""

from __future__ import annotations

import abc
import dataclasses
from dataclasses import dataclass
from itertools import product
from typing import ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from raysearch.thresholds._boxes import BOX_RULES, CONNECTIVITIES, BoxRule, Connectivity
from raysearch.thresholds._evidence import Column
from raysearch.thresholds._logits import Logits
from raysearch.thresholds._pairs import FromMaps, MapPairs
from raysearch.thresholds._quantise import BINS, LEVELS
from raysearch.thresholds._ranks import PERCENTILES, Ranks, rank_levels
from raysearch.thresholds._sweep import Sweep
from raysearch.thresholds._sweep_boxes import SWEPT, sweep_boxes

Areas = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Area in pixels that a predicted and a truth box share, and area in one or the other: (R, L) each. Whole numbers, and
exact in the largest images, unless the corners of truth boxes lie between pixels."""

_SHAPE = (len(CONNECTIVITIES), len(SWEPT))


@dataclass(frozen=True, kw_only=True)
class BoxAreas(Sweep, abc.ABC):
    """Evidence that box metrics are computed from: overlap and union of boxes at each of L positions."""

    @abc.abstractmethod
    def areas(self, rule: str | None, connectivity: Connectivity) -> Areas:
        """Of a rule of `SWEPT`, or of the method's own for None; 8- or 4-connected components."""


@dataclass(frozen=True, kw_only=True)
class Components(BoxAreas, FromMaps):
    """What box rules make of R PRESENT pairs at all 257 levels: boxes of `boxes_at` beside the truth's
    (`MapPairs.truth_boxes`).

    Only PRESENT pairs have a row: of an absent one every box is wrong, whatever the threshold. Boxes themselves are not
    kept, since every metric of boxes is one of their areas; a region of several truth boxes is what these cover
    together, so that a rule of one box pays for what it leaves out and rules compare. 16 KiB a pair in memory, less
    than 2 when compressed, since areas change in steps.

    A pair whose region is empty (a truth box that vanished when the image was scaled) has overlap 0 at every level.

    Attributes:
        overlap: (R, 2, 4, 257) float32 by connectivity (8, 4), rule (`SWEPT`) and level; see `BoxSweep`.
        either: likewise.
        percentiles: (R, 101) uint16, the level that each percentile of the map's own values stands for; see `Ranks`.
        rule: the method's own, by which metrics judge its boxes unless they name another.
    """

    kind: ClassVar[str] = "components"
    columns: ClassVar[dict[str, Column]] = {
        **Sweep.columns,
        "overlap": (np.float32, (*_SHAPE, LEVELS)),
        "either": (np.float32, (*_SHAPE, LEVELS)),
        "percentiles": (np.uint16, (PERCENTILES,)),
    }

    overlap: NDArray[np.float32]
    either: NDArray[np.float32]
    percentiles: NDArray[np.uint16]
    rule: BoxRule = "largest"

    def check(self) -> None:
        super().check()
        if self.rule not in BOX_RULES:
            raise ValueError(f"a box rule is one of {', '.join(BOX_RULES)}, got {self.rule}")
        if not self.present.all():
            raise ValueError("an absent pair has no truth box, but one was compared with boxes")
        if not ((self.overlap >= 0) & (self.overlap <= self.either)).all():  # written so that NaN fails it
            raise ValueError("boxes overlap in more pixels than they have")
        if len(self) and self.percentiles.max() >= LEVELS:
            raise ValueError(f"percentiles stand for levels 0..{LEVELS - 1}, found {self.percentiles.max()}")

    @classmethod
    def from_pairs(cls, pairs: MapPairs) -> Self:
        present = pairs.index["present"]
        shape = (np.count_nonzero(present), *_SHAPE, LEVELS)
        overlap, either = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        histogram = np.zeros((shape[0], BINS), np.uint32)
        judged = ((row, own) for row, (own, region) in enumerate(pairs) if region is not None)
        for r, (row, own) in enumerate(judged):
            boxes = pairs.truth_boxes(row)
            histogram[r] = np.bincount(own.ravel(), minlength=BINS)
            for c, connectivity in enumerate(CONNECTIVITIES):
                swept = sweep_boxes(own, BINS, boxes, connectivity)
                overlap[r, c], either[r, c] = swept.overlap, swept.either
        index = {
            name: value[present] if isinstance(value, np.ndarray) else value for name, value in pairs.index.items()
        }
        percentiles = rank_levels(histogram).astype(np.uint16)
        return cls(**index, overlap=overlap, either=either, percentiles=percentiles)

    def areas(self, rule: str | None, connectivity: Connectivity) -> Areas:
        variant = (slice(None), CONNECTIVITIES.index(connectivity), SWEPT.index(rule or self.rule))
        return self.overlap[variant], self.either[variant]


def top_one(components: Components, logits: Logits) -> Components:
    """The same evidence without any overlap where the image's highest class score (the first one on ties) is not the
    pair's class: every box metric of it is its top-1 counterpart, as top-1 localization is GT-known localization and
    the right class (Choe et al. 2020, section 3; of use in the single-label view).

    Raises:
        ValueError: classes differ, or an image has no class scores.
    """
    if components.classes != logits.classes:
        raise ValueError(f"boxes of the classes {components.classes} need their scores, got those of {logits.classes}")
    place = np.searchsorted(logits.image, components.image)
    if (place == len(logits)).any() or (logits.image[place] != components.image).any():
        raise ValueError("an image with boxes has no class scores; collect both from the same evaluation")
    right = logits.scores[place].argmax(axis=1) == components.label
    return dataclasses.replace(components, overlap=components.overlap * right[:, None, None, None].astype(np.float32))


class BoxChoice(NamedTuple):
    """One way to draw boxes: `value` is a threshold in [0, 256/255], or a percentile as a share in [0, 1]."""

    rule: BoxRule
    connectivity: Connectivity
    parameter: str
    value: float


VARIANTS: tuple[tuple[BoxRule, Connectivity, type[Sweep]], ...] = tuple(
    product(BOX_RULES, CONNECTIVITIES, (Components, Ranks))
)
"""What may be chosen beside a threshold or percentile, the default first."""


@dataclass(frozen=True, kw_only=True)
class BoxChoices(BoxAreas):
    """`Components` with rule, connectivity, and threshold or percentile as *one* parameter of 2148 positions, so that
    `solve` finds their joint optimum exactly, for each class too, and `cross_fit` values it.

    Positions go through the thresholds 0..256 or percentiles 0..100 of each of the 12 `VARIANTS` in turn. Runs of
    equally good ones hardly cross from one into the next: thresholds end with the empty mask, which has no box.

    Attributes:
        overlap: (R, 2148) float32.
        either: likewise.
    """

    kind: ClassVar[str] = "box_choices"
    positions: ClassVar[int] = sum(sweep.positions for _, _, sweep in VARIANTS)
    parameter: ClassVar[str] = "box choice"
    columns: ClassVar[dict[str, Column]] = {
        **Sweep.columns,
        "overlap": (np.float32, (positions,)),
        "either": (np.float32, (positions,)),
    }

    overlap: NDArray[np.float32]
    either: NDArray[np.float32]

    @classmethod
    def from_components(cls, components: Components) -> Self:
        levels = components.percentiles.astype(np.int64)
        overlap, either = [], []
        for rule, connectivity, sweep in VARIANTS:
            areas = components.areas(rule, connectivity)
            both, all_of = areas if sweep is Components else (np.take_along_axis(own, levels, axis=1) for own in areas)
            overlap.append(both)
            either.append(all_of)
        index = {name: getattr(components, name) for name in ("classes", *Sweep.columns)}
        return cls(**index, overlap=np.concatenate(overlap, axis=1), either=np.concatenate(either, axis=1))

    def areas(self, rule: str | None, connectivity: Connectivity) -> Areas:
        """Of all choices, whatever the arguments."""
        return self.overlap, self.either

    @staticmethod
    def choice(position: int) -> BoxChoice:
        """What a position stands for; ValueError if it is none."""
        at = position
        for rule, connectivity, sweep in VARIANTS:
            if 0 <= at < sweep.positions:
                return BoxChoice(rule, connectivity, sweep.parameter, sweep.setting(at))
            at -= sweep.positions
        raise ValueError(f"a box choice must lie in 0..{BoxChoices.positions - 1}, got {position}")

    @staticmethod
    def setting(position: int) -> float:
        """Choices as numbers: twice the place in `VARIANTS`, and the threshold or percentile."""
        rule, connectivity, parameter, value = BoxChoices.choice(position)
        places = [(*named, sweep.parameter) for *named, sweep in VARIANTS]
        return 2 * places.index((rule, connectivity, parameter)) + value

    @staticmethod
    def position(setting: float) -> int:
        variant, value = divmod(setting, 2)
        before = sum(sweep.positions for _, _, sweep in VARIANTS[: int(variant)])
        # what the addition rounded up must not make the next level
        return before + VARIANTS[int(variant)][2].position(max(0.0, value - 1e-9))
