from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from methods.layers.crf import CrfSettings, _filters, dense_crf
from methods.layers.crf._permutohedral import Lattice, _simplices
from raysearch.errors import MethodError

GLAS = CrfSettings(iterations=2, theta_alpha=13, theta_beta=3, theta_gamma=3, weight_bilateral=1.0, weight_gaussian=1.0)
OTHERS = CrfSettings(
    iterations=5, theta_alpha=19, theta_beta=11, theta_gamma=5, weight_bilateral=1.0, weight_gaussian=1.0
)


def slow_crf(foreground: Tensor, image: Tensor, s: CrfSettings) -> list[list[float]]:
    """Two labels, mean field written from the equations: a loop over pixels, labels and neighbours."""
    channels, height, width = image.shape
    pixels = [(y, x) for y in range(height) for x in range(width)]

    def kernel(i: tuple[int, int], j: tuple[int, int], bilateral: bool) -> float:
        place = (i[0] - j[0]) ** 2 + (i[1] - j[1]) ** 2
        if not bilateral:
            return math.exp(-place / (2 * s.theta_gamma**2))
        colour = sum((255 * float(image[c][i] - image[c][j])) ** 2 for c in range(channels))
        return math.exp(-place / (2 * s.theta_alpha**2) - colour / (2 * s.theta_beta**2))

    def normalized(bilateral: bool) -> list[list[float]]:
        k = [[kernel(i, j, bilateral) for j in pixels] for i in pixels]
        d = [sum(row) for row in k]
        return [[k[i][j] / math.sqrt(d[i] * d[j]) for j in range(len(pixels))] for i in range(len(pixels))]

    kernels = [(s.weight_bilateral, normalized(True)), (s.weight_gaussian, normalized(False))]
    p = [float(foreground[0][i]) for i in pixels]
    unary = [[-math.log(1 - q), -math.log(q)] for q in p]
    marginal = [[1 - q, q] for q in p]
    for _ in range(s.iterations):
        updated = []
        for i in range(len(pixels)):
            energy = list(unary[i])
            for label in (0, 1):
                for weight, k in kernels:
                    energy[label] += weight * sum(k[i][j] * marginal[j][1 - label] for j in range(len(pixels)))
            z = math.exp(-energy[0]) + math.exp(-energy[1])
            updated.append([math.exp(-energy[0]) / z, math.exp(-energy[1]) / z])
        marginal = updated
    return [[marginal[y * width + x][1] for x in range(width)] for y in range(height)]


def scene(channels: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """A noisy bright square, and a probability map that lies three pixels off it."""
    generator = torch.Generator().manual_seed(0)
    image = 0.2 + 0.02 * torch.randn(1, channels, height, width, generator=generator)
    image[:, :, height // 4 : height // 2, width // 4 : width // 2] += 0.4
    foreground = torch.full((1, 1, height, width), 0.3)
    foreground[:, :, height // 4 + 3 : height // 2 + 3, width // 4 : width // 2] = 0.7
    return foreground, image.clamp(0, 1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("settings", [GLAS, OTHERS])
def test_exact_inference_matches_the_equations(channels: int, settings: CrfSettings) -> None:
    foreground, image = scene(channels, 7, 9)
    found = dense_crf(foreground, image, settings)
    torch.testing.assert_close(
        found[0, 0], torch.tensor(slow_crf(foreground[0], image[0], settings)), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("settings", [GLAS, OTHERS])
def test_lattice_stays_near_the_exact_marginals(
    channels: int, settings: CrfSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreground, image = scene(channels, 40, 36)
    monkeypatch.setattr(_filters, "EXACT_PIXELS", 0)
    lattice = dense_crf(foreground, image, settings)
    monkeypatch.setattr(_filters, "EXACT_PIXELS", 10**6)
    exact = dense_crf(foreground, image, settings)
    assert (exact - foreground).abs().mean() > 0.05, "the CRF has to matter here"
    assert (lattice - exact).abs().mean() < 0.02
    assert ((lattice >= 0.5) != (exact >= 0.5)).float().mean() < 0.01


def test_the_crf_moves_the_mask_to_the_image_edge() -> None:
    foreground, image = scene(1, 32, 32)
    square = torch.zeros(32, 32)
    square[8:16, 8:16] = 1
    strong = replace(OTHERS, weight_bilateral=10.0, weight_gaussian=0.0)
    refined = dense_crf(foreground, image, strong)[0, 0]

    def dice(mask: Tensor) -> float:
        return float(2 * (mask * square).sum() / (mask.sum() + square.sum()))

    assert dice((refined >= 0.5).float()) > dice((foreground[0, 0] >= 0.5).float()) + 0.1


def test_without_pairwise_weights_the_map_comes_back() -> None:
    foreground, image = scene(1, 8, 8)
    nothing = CrfSettings(
        iterations=3, theta_alpha=13, theta_beta=3, theta_gamma=3, weight_bilateral=0.0, weight_gaussian=0.0
    )
    torch.testing.assert_close(dense_crf(foreground, image, nothing), foreground)


def test_certain_maps_and_constant_images_stay_finite() -> None:
    foreground = torch.zeros(2, 1, 40, 40)
    foreground[:, :, :10] = 1
    refined = dense_crf(foreground, torch.zeros(2, 3, 40, 40), GLAS)
    assert torch.isfinite(refined).all()
    assert refined.min() >= 0
    assert refined.max() <= 1
    torch.testing.assert_close(refined[0], refined[1])


@pytest.mark.parametrize("d", [2, 3, 5])
def test_simplices_enclose_their_points(d: int) -> None:
    generator = torch.Generator().manual_seed(d)
    features = 6 * torch.randn(300, d, generator=generator, dtype=torch.float64)
    vertices, weights = _simplices(features)
    assert weights.min() >= -1e-9
    torch.testing.assert_close(weights.sum(1), torch.ones(300, dtype=torch.float64))
    last = -vertices.sum(2, keepdim=True)
    full = torch.cat((vertices, last), 2)
    assert (full.remainder(d + 1) == full[:, :, :1].remainder(d + 1)).all(), "a vertex has one remainder"
    point = (weights[:, :, None] * full).sum(1)
    torch.testing.assert_close(point.sum(1), torch.zeros(300, dtype=torch.float64), atol=1e-9, rtol=0)
    # the embedding is a similarity: distances between points grow by one factor
    factor = torch.cdist(point, point)[0, 1:] / torch.cdist(features, features)[0, 1:]
    torch.testing.assert_close(factor, factor[:1].expand_as(factor))


@pytest.mark.parametrize("d", [2, 3, 5])
def test_lattice_filters_like_the_gaussian(d: int) -> None:
    generator = torch.Generator().manual_seed(0)
    features = 4 * torch.rand(500, d, generator=generator)
    values = (features[:, 0] > 2).float()
    lattice = Lattice(features)
    kernel = torch.exp(-0.5 * torch.cdist(features, features) ** 2)
    found = lattice.filter(values) / lattice.filter(torch.ones(500))
    assert (found - kernel @ values / kernel.sum(1)).abs().mean() < 0.02


@pytest.mark.parametrize("scale", [1e6, 1e9, 1e30, math.inf])
@pytest.mark.parametrize("d", [3, 5])
def test_widths_far_too_small_are_refused(scale: float, d: int) -> None:
    with pytest.raises(MethodError, match="crf_theta_alpha"):
        Lattice(scale * torch.rand(2000, d, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("theta_beta", [1e-3, 1e-5, 1e-6, 1e-40])
def test_a_width_of_colours_far_too_small_is_refused(theta_beta: float) -> None:
    foreground, image = scene(3, 40, 36)
    with pytest.raises(MethodError, match="crf_theta_beta"):
        dense_crf(foreground, image, replace(GLAS, theta_beta=theta_beta))
