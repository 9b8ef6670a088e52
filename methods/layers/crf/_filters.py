"""Gaussian kernels over pixels as linear filters, (H, W) to (H, W)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from methods.layers.crf._permutohedral import Lattice

EXACT_PIXELS = 1024
"""Up to 32 x 32 pixels the full kernel matrix is cheap (4 MB) and exact."""


def gaussian_filter(size: torch.Size, theta: float, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Sum over all pixels weighted by ``exp(-|p_i - p_j|^2 / 2 theta^2)``, exact: the kernel separates by axis."""
    rows, columns = (_axis_kernel(side, theta, device) for side in size)
    return lambda values: rows @ values @ columns


def bilateral_filter(image: Tensor, theta_alpha: float, theta_beta: float) -> Callable[[Tensor], Tensor]:
    """Sum over all pixels weighted by ``exp(-|p_i - p_j|^2 / 2 alpha^2 - |I_i - I_j|^2 / 2 beta^2)``.

    `image` is (C, H, W) on the scale of `theta_beta`. Up to `EXACT_PIXELS` pixels exact, beyond approximate and up to
    a constant factor.
    """
    height, width = image.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=image.device), torch.arange(width, device=image.device), indexing="ij"
    )
    positions = torch.stack((y, x)).to(image.dtype) / theta_alpha
    features = torch.cat((positions, image / theta_beta)).flatten(1).T.contiguous()
    if height * width <= EXACT_PIXELS:
        kernel = torch.exp(-0.5 * torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist") ** 2)
        return lambda values: (kernel @ values.flatten()).view_as(values)
    lattice = Lattice(features)
    return lambda values: lattice.filter(values.flatten()).view_as(values)


def _axis_kernel(side: int, theta: float, device: torch.device) -> Tensor:
    at = torch.arange(side, device=device, dtype=torch.float32) / theta
    return torch.exp(-0.5 * (at[:, None] - at[None, :]) ** 2)
