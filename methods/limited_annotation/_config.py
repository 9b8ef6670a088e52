"""Settings of localization with limited annotation; defaults are the paper's (section 4) where it has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from methods._config import PatchConfig, expect, expect_in, expect_range
from methods.layers.blur import FILTERS
from raysearch.method import PerClass


@dataclass(frozen=True, kw_only=True)
class LimitedAnnotationConfig(PatchConfig):
    """Sections 3.2, 3.3 and 4 of *Localization with limited annotation*. The paper publishes no value of the four
    thresholds: their defaults are ours."""

    tau: PerClass = 0.7
    """Share of the patches inside a region that has to be found, at least (eq. 9)."""
    rho: PerClass = 0.1
    """Share of the patches outside a region that may be found, at most (eq. 9)."""
    tau_hat: PerClass = 0.05
    """Share of all patches that has to be found where an image shows the class, at least; times P^2 it is the paper's
    count (eq. 11)."""
    rho_hat: PerClass = 0.01
    """Share of all patches that may be found where an image does not show the class, at most; times P^2 it is the
    paper's count (eq. 11). Below `tau_hat`."""
    gamma: float | Literal["data"] = "data"
    """Weight of images that do not show the class (eq. 11; not part of eq. 8): a number, or ``data``, each class's
    ratio of positive to negative labels in the training split."""
    relaxation: Literal["relu", "sigmoid"] = "relu"
    """How the conditions on region sums become a loss: ``relu`` (eq. 9, 11) or ``sigmoid`` (eq. 5, 8), whose gradients
    vanish, as the paper says."""
    blur: int = 4
    """Side of the anti-aliasing filters in front of each downsampling, 1 to 5; 1 is none. Not published; 4 is the
    default of the released code of Zhang (ICML 2019)."""
    crf: Literal["binary", "softmax", "none"] = "binary"
    """The PAC-CRF on patches: ``binary``, labels absent and present for each class; ``softmax``, one label a patch; or
    ``none``."""
    crf_share: float = 0.25
    """Share of the epochs, at the end, that trains the CRF with all else frozen; at least one epoch. Not published."""
    crf_lr: float = 1e-3
    """Learning rate of the first epoch of the CRF's stage."""
    crf_strength: float = 0.01
    """Factor of the CRF's first compatibilities: 1 as in the released code of PAC, at which a window of background
    outvotes any region that is smaller than half of it, so that with ``binary`` no patch is positive and nothing is
    learned; the default is ours."""
    crf_window: int = 19
    """Side of the window of patches that a patch hears from, odd."""
    crf_steps: int = 5
    """Mean-field steps; 5 in the released code of PAC."""
    crf_hidden: int = 16
    """Channels between the two convolutions that make the CRF's features; not published."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("tau", "rho", "tau_hat", "rho_hat"):
            value = getattr(self, name)
            for number in value.values() if isinstance(value, Mapping) else [value]:
                expect_range(name, number, 0, 1)
        for low, high in _paired(self.rho_hat, self.tau_hat):
            expect(low < high, "rho_hat", low, f"a number below tau_hat, which is {high:g}")
        if self.gamma != "data":
            expect_range("gamma", self.gamma, 0, open_low=True)
        expect_in("relaxation", self.relaxation, ("relu", "sigmoid"))
        expect_in("blur", self.blur, tuple(FILTERS))
        expect_in("crf", self.crf, ("binary", "softmax", "none"))
        expect(0 < self.crf_share < 1, "crf_share", self.crf_share, "a number above 0 and below 1")
        expect_range("crf_lr", self.crf_lr, 0, open_low=True)
        expect_range("crf_strength", self.crf_strength, 0)
        odd = self.crf_window >= 3 and self.crf_window % 2 == 1
        expect(odd, "crf_window", self.crf_window, "an odd number, 3 or more")
        expect_range("crf_steps", self.crf_steps, 1)
        expect_range("crf_hidden", self.crf_hidden, 1)


def _paired(one: PerClass, other: PerClass) -> list[tuple[float, float]]:
    """Both values of each class that is named, or of all classes if none is. A class that only one side names is
    refused where the classes are known."""
    names = {name for value in (one, other) if isinstance(value, Mapping) for name in value} or {""}
    first, second = (value if isinstance(value, Mapping) else dict.fromkeys(names, value) for value in (one, other))
    return [(first[name], second[name]) for name in names if name in first and name in second]
