"""Mean-field inference: unary from a probability map, smoothness and bilateral kernels, Potts compatibility."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from methods.layers.crf._filters import bilateral_filter, gaussian_filter
from methods.layers.inside import rectangles

Filter = Callable[[Tensor], Tensor]

PROBABILITY_FLOOR = 1e-6
"""Keeps the unary finite where a map says 0 or 1."""


@dataclass(frozen=True, kw_only=True)
class CrfSettings:
    """Names follow the paper: alpha and beta belong to the bilateral kernel of weight w(1), gamma to that of w(2)."""

    iterations: int
    theta_alpha: float
    """Pixels."""
    theta_beta: float
    """Intensity, on the scale 0 to 255."""
    theta_gamma: float
    """Pixels."""
    weight_bilateral: float
    weight_gaussian: float


@torch.no_grad()
def dense_crf(foreground: Tensor, images: Tensor, settings: CrfSettings, inside: Tensor | None = None) -> Tensor:
    """Marginal probability of the foreground after mean-field inference.

    ``k(i, j) = w1 exp(-|p_i - p_j|^2 / 2 alpha^2 - |I_i - I_j|^2 / 2 beta^2) + w2 exp(-|p_i - p_j|^2 / 2 gamma^2)``
    (eq. 3 of the paper), each kernel matrix K replaced by ``D^-1/2 K D^-1/2`` with D its row sums, i = j included, as
    the authors' released implementation does: without it w = 1 would mean a strength that grows with theta.

    Args:
        foreground: (N, 1, H, W) probabilities in [0, 1]; the unary is their negative logarithm.
        images: (N, C, H, W) in [0, 1]; |I_i - I_j| is the Euclidean distance over the C channels, times 255.
        settings: weights, widths and the number of mean-field steps.
        inside: (N, H, W) bool, a rectangle each, or None: what is padded around a picture is no pixel's neighbour, and
            stays as it is in `foreground`.

    Returns:
        (N, 1, H, W) in [0, 1]. Exact for images up to `EXACT_PIXELS` pixels; beyond, the bilateral kernel is filtered
        on a permutohedral lattice, within about 0.02 of the exact marginals on average.
    """
    if inside is None:
        refined = [_refine(p[0], image, settings) for p, image in zip(foreground, images, strict=True)]
        return torch.stack(refined).unsqueeze(1)
    out = foreground.float().clone()
    for p, image, own in zip(out, images, rectangles(inside), strict=True):
        if own is not None:
            p[0, *own] = _refine(p[0, *own], image[:, *own], settings)
    return out


def _refine(foreground: Tensor, image: Tensor, settings: CrfSettings) -> Tensor:
    unary = torch.logit(foreground.float(), eps=PROBABILITY_FLOOR)
    kernels: list[tuple[float, Filter]] = []
    if settings.weight_gaussian > 0:
        smooth = gaussian_filter(image.shape[-2:], settings.theta_gamma, image.device)
        kernels.append((settings.weight_gaussian, _normalized(smooth, unary)))
    if settings.weight_bilateral > 0:
        bilateral = bilateral_filter(image.float() * 255.0, settings.theta_alpha, settings.theta_beta)
        kernels.append((settings.weight_bilateral, _normalized(bilateral, unary)))
    q = torch.sigmoid(unary)
    for _ in range(settings.iterations):
        logit = unary
        # Potts: the foreground pays for neighbours in the background and the other way round
        for weight, apply in kernels:
            logit = logit + weight * apply(2 * q - 1)
        q = torch.sigmoid(logit)
    return q


def _normalized(kernel: Filter, like: Tensor) -> Filter:
    scale = kernel(torch.ones_like(like)).clamp(min=1e-12).rsqrt()
    return lambda values: scale * kernel(scale * values)
