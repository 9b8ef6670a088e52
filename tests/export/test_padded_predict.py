"""Pictures that are not square, in the form that GlaS has them: masks of `predict` are those that were scored, and what
paints the whole picture is worth what a map of ones is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data.data_layouts import GLAS_FOLDER, GLAS_ROWS, make_glas, save
from PIL import Image

from methods.all_ones import AllOnes
from methods.cam import CamAvg
from raysearch.data import Collection, open_collection, parse_data
from raysearch.errors import ExportError
from raysearch.export._bundle import Bundle
from raysearch.export._evaluate import evaluate_bundle
from raysearch.export._predict import predict_image
from raysearch.method import Method, Task
from raysearch.thresholds import Components, Counts, at, find_metric
from raysearch.training import Alone, observe

SIZE, WIDTH, HEIGHT = 128, 256, 172


def release(parent: Path) -> Path:
    """GlaS with pictures of 256 x 172, which take 128 x 86 of 128 x 128 pixels, exactly half of each side."""
    root = make_glas(parent) / GLAS_FOLDER
    rng = np.random.default_rng(0)
    for name, _, _ in GLAS_ROWS:
        coarse = rng.integers(40, 220, (6, 8, 3)).astype(np.uint8)
        picture = Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        save(root / f"{name}.bmp", np.asarray(picture))
        glands = np.zeros((HEIGHT, WIDTH), np.uint8)
        left, top = (2 * int(n) for n in rng.integers(0, 40, 2))
        glands[top : top + 60, left : left + 90] = 1
        glands[120:150, 150:240] = 2
        save(root / f"{name}_anno.bmp", glands)
    return parent


def bundle_of(method: type[Method], collection: Collection, settings: dict[str, Any], threshold: float) -> Bundle:
    torch.manual_seed(0)
    task = Task(classes=collection.classes, view="single", channels=3, size=collection.size)
    made = method(method.Config(**settings), task)
    config = {"data": {"source": collection.source}}
    return Bundle(Path(), config, made, made.build().eval(), {}, {"mask_threshold": threshold}, {})


def evidence(bundle: Bundle, collection: Collection, rows: list[int]) -> Any:
    kinds = frozenset({"counts", "logits", "components"})
    found = observe(
        bundle.method,
        bundle.model,
        collection,
        np.array(rows),
        device=torch.device("cpu"),
        collective=Alone(),
        kinds=kinds,
    )
    return found.evidence


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("method", ["cam_avg", "all_ones"])
def test_predicts_pixels_are_those_of_the_evidence(tmp_path: Path, method: str, fit: str) -> None:
    parent = release(tmp_path / "glas")
    collection = open_collection(parse_data(f"glas:{parent},size={SIZE},fit={fit}"), "single")
    slim = {"backbone": "resnet10_slim", "weights": "random", "output_stride": 8}
    cls, settings = (CamAvg, slim) if method == "cam_avg" else (AllOnes, {})
    bundle = bundle_of(cls, collection, settings, 0.4)
    used = {"pad": 86 * 128, "crop": 128 * 128, "stretch": 128 * 128}[fit]
    areas = 0
    for row, name in enumerate(collection.image_ids):
        counts: Counts = evidence(bundle, collection, [row])["counts"]
        assert (counts.foreground + counts.background).sum(axis=1).tolist() == [used] * len(counts)
        (answer,) = predict_image(bundle, parent / GLAS_FOLDER / name)
        assert answer.mask.shape == (HEIGHT, WIDTH)
        if fit != "pad":
            continue  # file and canvas have other pixels
        mask = answer.mask[::2, ::2]
        np.testing.assert_array_equal(answer.mask, mask.repeat(2, axis=0).repeat(2, axis=1))
        label = int(collection.labels[row].argmax())
        truth = collection.mask(row, label)[21:107] > 0
        place = counts.label.tolist().index(label)
        confusion = [int(each[place, bundle.levels[answer.label]]) for each in counts.confusion()]
        assert confusion == [int(each.sum()) for each in (mask & truth, mask & ~truth, ~mask & truth, ~mask & ~truth)]
        assert answer.area == pytest.approx((confusion[0] + confusion[1]) / used)
        areas += answer.area
    if method == "cam_avg" and fit == "pad":
        assert 0.02 < areas / len(collection) < 0.98  # it was a mask worth comparing


def test_the_whole_picture_is_worth_what_a_map_of_ones_is_worth(tmp_path: Path) -> None:
    collection = open_collection(parse_data(f"glas:{release(tmp_path / 'glas')},size={SIZE}"), "single")
    found = evidence(bundle_of(AllOnes, collection, {}, 0.5), collection, list(range(len(collection))))
    inside = collection.inside(np.arange(len(collection)))
    assert inside is not None
    present = collection.labels.argmax(axis=1)
    shares = [collection.mask(row, int(label))[inside[row]].mean() for row, label in enumerate(present)]
    expected = np.mean([2 * share / (1 + share) for share in shares])
    for level in (0, 128, 255):
        assert at(found["counts"], find_metric("f1_plus"), level) == pytest.approx(expected)
    boxes: Components = found["components"]
    assert (boxes.either.max(axis=3) == 86 * 128).all()  # the box of ones is the picture, not the canvas


def test_scores_know_nothing_of_what_the_padding_holds(tmp_path: Path) -> None:
    """Maps are scaled by the picture's own extrema, so that evidence is that of a canvas with other padding."""
    collection = open_collection(parse_data(f"glas:{release(tmp_path / 'glas')},size={SIZE}"), "single")
    slim = {"backbone": "resnet10_slim", "weights": "random", "output_stride": 8}
    bundle = bundle_of(CamAvg, collection, slim, 0.4)
    images = torch.from_numpy(np.array(collection.images)).float() / 255
    inside = torch.from_numpy(collection.inside(np.arange(len(collection))))
    with torch.no_grad():
        maps = bundle.method.predict(bundle.model, images, inside).maps[:, 0]
    for own, area in zip(maps, inside, strict=True):
        assert own[area].min() == 0
        assert own[area].max() == 1


def test_data_of_another_fit_is_refused(tmp_path: Path) -> None:
    parent = release(tmp_path / "glas")
    collection = open_collection(parse_data(f"glas:{parent},size={SIZE},fit=crop"), "single")
    bundle = bundle_of(AllOnes, collection, {}, 0.5)
    bundle.config["metric"] = "f1_plus"
    with pytest.raises(ExportError, match=r"is read with fit=pad, .* was made with fit=crop: add fit=crop to --data"):
        evaluate_bundle(bundle, f"glas:{parent},size={SIZE}")
