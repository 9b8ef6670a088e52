"""What is drawn: cores and bodies, regions inside the lungs, distractors, domains."""

from __future__ import annotations

import numpy as np
import pytest

from raysearch.data.phantom import DOMAINS, FINDINGS, Radiograph, radiograph
from raysearch.data.phantom._acquisition import pixel_grid, smooth_noise
from raysearch.data.phantom._anatomy import SIDES, Anatomy, lung_depth
from raysearch.data.phantom._devices import devices
from raysearch.data.phantom._findings import Chest


def draw(number: int, findings: tuple[str, ...], domain: str = "a", size: int = 64) -> Radiograph:
    rng = np.random.default_rng(number)
    return radiograph(
        rng,
        np.random.default_rng(1000 + number),
        anatomy=Anatomy.draw(rng),
        domain=DOMAINS[domain],
        findings=findings,
        size=size,
    )


def chest(rng: np.random.Generator) -> Chest:
    anatomy = Anatomy.draw(rng)
    x, y = pixel_grid(128)
    depth = {side: lung_depth(anatomy, x, y, side) for side in SIDES}
    return Chest(anatomy, x, y, depth, smooth_noise(rng, 128, 0.018))


@pytest.mark.parametrize("name", FINDINGS)
def test_an_object_has_a_small_strong_core_and_a_weak_body(name: str) -> None:
    shares, contrasts = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        for lesion in FINDINGS[name].draw(rng, chest(rng)):
            strength = np.abs(lesion.density)
            core = lesion.mask & (strength > 0.5 * np.quantile(strength[lesion.mask], 0.98))
            shares.append(core.sum() / lesion.mask.sum())
            body = np.median(strength[lesion.mask & ~core])
            contrasts.append(np.median(strength[core]) / body)
            assert strength[~lesion.mask].sum() < 0.35 * strength.sum()
    assert 0.02 < np.mean(shares) < 0.45
    assert np.mean(contrasts) > 1.8


@pytest.mark.parametrize("name", FINDINGS)
def test_regions_lie_in_the_lungs(name: str) -> None:
    for number in range(20):
        shot = draw(number, (name,))
        assert shot.regions[name].any()
        assert not (shot.regions[name] & ~shot.lungs).any()


@pytest.mark.parametrize(("name", "sign"), [("nodule", 1), ("consolidation", 1), ("effusion", 1), ("pneumothorax", -1)])
def test_regions_are_visible(name: str, sign: int) -> None:
    """Region against the rest of the lungs: opacities are brighter, air is darker, in most images."""
    difference = []
    for number in range(30):
        shot = draw(number, (name,))
        region, rest = shot.regions[name], shot.lungs & ~shot.regions[name]
        difference.append(shot.pixels[region].mean() - shot.pixels[rest].mean())
    assert np.mean(np.sign(difference) == sign) > 0.7


def test_several_objects_in_an_image() -> None:
    for name in ("nodule", "consolidation", "effusion"):
        counts = [len(FINDINGS[name].draw(rng, chest(rng))) for rng in map(np.random.default_rng, range(15))]
        assert {1, 2} <= set(counts)


def test_lungs_are_dark_and_apart() -> None:
    for number in range(10):
        shot = draw(number, ())
        assert shot.regions == {}
        middle = shot.pixels[20:44, 29:35]
        assert shot.pixels[shot.lungs].mean() < middle.mean() - 30
        left, right = shot.lungs[:, :32].sum(), shot.lungs[:, 32:].sum()
        assert left > right > 0.5 * left  # the heart takes from the patient's left lung


def test_distractors_are_bright_spots_lines_and_weak_lucencies() -> None:
    x, y = pixel_grid(64)
    drawn = [devices(np.random.default_rng(seed), x, y) for seed in range(60)]
    assert np.mean([d.max() > 0.15 for d in drawn]) > 0.6
    assert np.mean([d.min() < -0.02 for d in drawn]) > 0.05
    assert np.mean([(np.abs(d) > 0.05).mean() for d in drawn]) < 0.05


def test_domains_differ_in_brightness_and_field_of_view() -> None:
    a, b = ([draw(number, (), domain) for number in range(20)] for domain in ("a", "b"))
    assert np.mean([s.pixels.mean() for s in a]) > 1.2 * np.mean([s.pixels.mean() for s in b])
    assert np.mean([s.lungs.mean() for s in a]) > 1.2 * np.mean([s.lungs.mean() for s in b])
    assert all(s.pixels[5:8, 3:6].max() > 200 for s in a)
    assert all(s.pixels[56:59, 54:57].max() > 200 for s in b)
