"""Masks of new images: pixel for pixel those that the model was scored by, and right for any form of picture."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data.kind_layouts import make_jsrt
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from export.finished_studies import SMALL, finished_study
from raysearch._draw import COLOURS
from raysearch.cli import main
from raysearch.data import Collection, DataSpec, open_collection, parse_data
from raysearch.errors import ExportError
from raysearch.export import Bundle, export_study, load_bundle, predict_images
from raysearch.export._score import observe_rows
from raysearch.method import Batch, Method, Prediction, Stage, Step, Task
from raysearch.thresholds import BOX_RULES, BoxRule, Components, Counts, region_boxes
from raysearch.thresholds._boxes import cover
from raysearch.training import Alone, observe

Boolean = NDArray[np.bool_]


def save_images(collection: Collection, rows: Sequence[int], folder: Path) -> list[Path]:
    """Images as the model sees them, one PNG file each."""
    folder.mkdir()
    paths = [folder / f"{collection.image_ids[row]}.png" for row in rows]
    for path, row in zip(paths, rows, strict=True):
        Image.fromarray(np.array(collection.images[row, 0])).save(path)
    return paths


def read_mask(path: Path) -> Boolean:
    values = np.asarray(Image.open(path))
    assert set(np.unique(values)) <= {0, 255}
    return values > 0


def table(out: Path) -> list[dict[str, str]]:
    with open(out / "predictions.csv", newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def observed(bundle: Bundle, collection: Collection, rows: NDArray[np.int64]) -> Counts:
    """The evidence of these images, as a search and a verification collect it."""
    return observe(bundle.method, bundle.model, collection, rows, device=torch.device("cpu"), collective=Alone()).counts


@pytest.mark.parametrize(
    "request_",
    [
        {"method": "cam_avg"},
        {"method": "wildcat", "per_class": True},
        {"method": "unet", "fixes": ("width=8",)},
        {"method": "minmax_entropy"},
        {"method": "export.class_maps:ClassMaps"},
        {"method": "export.class_maps:ClassMaps", "per_class": True},
        {"method": "export.class_maps:ManyClassMaps"},
        {"method": "export.class_maps:ManyClassMaps", "per_class": True},
    ],
    ids=[
        *(
            "one map",
            "one map, per class",
            "full supervision",
            "min-max entropy",
            "class maps",
            "class maps, per class",
        ),
        *("several classes", "several classes, per class"),
    ],
)
def test_masks_are_those_of_the_evidence(tmp_path: Path, request_: dict[str, Any]) -> None:
    study = finished_study(tmp_path / "studies", **request_)
    bundle = load_bundle(export_study(study, tmp_path / "model").path)
    collection = open_collection(DataSpec.parse(SMALL), bundle.method.view)
    rows = np.arange(len(collection))
    counts = Counts.merge([observed(bundle, collection, rows[n : n + 1]) for n in rows])
    batched = observed(bundle, collection, rows)
    pair = {(int(i), int(k)): n for n, (i, k) in enumerate(zip(counts.image, counts.label, strict=True))}
    one_map = len(counts) == len(rows)

    files = save_images(collection, rows.tolist(), tmp_path / "images")
    list(predict_images(bundle, files, tmp_path / "out"))
    lines = table(tmp_path / "out")
    chosen = json.loads((bundle.path / "thresholds.json").read_text())
    strays = seen = 0
    row_of = {str(file): row for row, file in zip(rows.tolist(), files, strict=True)}
    for line in lines:
        row = row_of[line["image"]]
        # one map is about the object that is there, whatever class the image is taken for
        label = int(np.argmax(collection.truth[row])) if one_map else collection.classes.index(line["class"])
        if (row, label) not in pair:
            continue  # nobody knows its truth, and so there is no evidence
        seen += 1
        level = round(255 * chosen.get(f"mask_threshold.{line['class']}", chosen.get("mask_threshold"))["value"])
        inside, outside = counts.foreground[pair[row, label]], counts.background[pair[row, label]]
        mask, truth = read_mask(tmp_path / "out" / line["mask"]), collection.mask(row, label).astype(bool)
        tp, fp, fn, tn = (int((a & b).sum()) for a in (mask, ~mask) for b in (truth, ~truth))
        assert (tp, fp) == (inside[level:].sum(), outside[level:].sum())
        assert (fn, tn) == (inside[:level].sum(), outside[:level].sum())
        assert float(line["threshold"]) == pytest.approx(level / 255, abs=1e-6)
        strays += abs(int(batched.foreground[pair[row, label], level:].sum()) - tp)
        strays += abs(int(batched.background[pair[row, label], level:].sum()) - fp)
    # convolutions of another batch size sum in another order: about one pixel in 10 million falls on the other side
    assert strays <= 2
    assert seen == len(rows) if bundle.method.view == "single" else seen > len(rows)
    assert len({line["threshold"] for line in lines}) > 1 or not request_.get("per_class")


@pytest.fixture
def bundle(model: Path) -> Bundle:
    return load_bundle(model)


def picture(seed: int, height: int, width: int) -> NDArray[np.uint8]:
    """A smooth grey picture."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def test_every_file_of_a_prediction(bundle: Bundle, tmp_path: Path) -> None:
    image = tmp_path / "scan 1.png"  # too small for the text of a label
    Image.fromarray(picture(0, 24, 40)).save(image)
    (answer,) = predict_images(bundle, [image], tmp_path / "out")
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {"predictions.csv", "scan 1_mask.png", "scan 1_overlay.png"}
    (line,) = table(out)
    assert list(line) == [
        *("image", "class", "score", "threshold", "area", "x1", "y1", "x2", "y2", "mask", "overlay", "boxes")
    ]  # fmt: skip
    mask = read_mask(out / line["mask"])
    np.testing.assert_array_equal(mask, answer.mask)
    assert (line["image"], line["class"]) == (str(image), answer.label)
    assert float(line["score"]) == pytest.approx(answer.score, abs=1e-6)
    assert float(line["area"]) == pytest.approx(mask.mean(), abs=1e-6)
    x1, y1, x2, y2 = (int(line[side]) for side in ("x1", "y1", "x2", "y2"))
    inside = np.zeros_like(mask)
    inside[y1:y2, x1:x2] = True
    assert not (mask & ~inside).any()
    assert mask[y1].any()
    assert mask[y2 - 1].any()
    assert mask[:, x1].any()
    assert mask[:, x2 - 1].any()
    overlay = np.asarray(Image.open(out / line["overlay"]))
    assert overlay.shape == (24, 40, 3)
    grey = np.repeat(picture(0, 24, 40)[:, :, None], 3, axis=2)
    assert answer.boxes == (answer.box,)
    drawn = frame(mask.shape, answer.boxes)
    np.testing.assert_array_equal(overlay[~mask & ~drawn], grey[~mask & ~drawn])
    assert (overlay[mask] != grey[mask]).any(axis=1).mean() > 0.9
    assert (overlay[drawn] == COLOURS[bundle.method.task.classes.index(answer.label)]).all()


def frame(shape: tuple[int, ...], boxes: Sequence[tuple[int, int, int, int]], width: int = 1) -> Boolean:
    """The lines of the boxes."""
    lines = np.zeros(shape, bool)
    for x1, y1, x2, y2 in boxes:
        lines[y1:y2, x1:x2] = True
        lines[y1 + width : y2 - width, x1 + width : x2 - width] = False
    return lines


CLASSES = ("Mass", "no/thing here", "no thing here", "Hernia")


class Blobs(Method):
    """A map a class, given with the image: its four quarters of grey levels, shifted by the class."""

    name, title, view, Config = "blobs", "For tests", "multi", dict

    def build(self) -> nn.Module:
        return nn.Identity()

    def stages(self, epochs: int) -> Sequence[Stage]:
        return ()

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        raise NotImplementedError

    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        maps = torch.cat([images, images.flip(3), 0 * images, 0 * images], 1)
        return Prediction(scores=torch.tensor([[0.2, 0.6, 0.1, 0.9]]).expand(len(images), 4), maps=maps)


@pytest.fixture
def blobs(tmp_path: Path) -> Bundle:
    """Classes 0 and 1 have masks, 2 and 3 have none, and 3 has the highest score."""
    method = Blobs({}, Task(classes=CLASSES, view="multi", channels=1, size=(32, 32)))
    return Bundle(tmp_path, {"data": {"source": "phantom"}}, method, method.build(), {}, {"mask_threshold": 0.5}, {})


def blob_picture() -> NDArray[np.uint8]:
    """Two bright regions, one of two parts that touch at a corner, in a picture twice as large as the model's."""
    small = np.full((32, 32), 20, np.uint8)
    small[2:8, 3:9] = 200
    small[20:24, 20:23] = small[24:30, 23:31] = 255
    return np.kron(small, np.ones((2, 2), np.uint8))


def test_every_class_with_a_mask_is_answered(blobs: Bundle, tmp_path: Path) -> None:
    Image.fromarray(blob_picture()).save(tmp_path / "scan.png")
    answers = list(predict_images(blobs, [tmp_path / "scan.png"], tmp_path / "out"))
    lines = table(tmp_path / "out")
    assert [answer.label for answer in answers] == ["Mass", "no/thing here", "Hernia"]
    assert [line["class"] for line in lines] == ["Mass", "no/thing here", "Hernia"]
    assert answers[0].boxes == ((6, 4, 18, 16), (40, 40, 62, 60)), "regions that touch at a corner are one"
    assert answers[1].boxes == ((46, 4, 58, 16), (2, 40, 24, 60))
    assert answers[2].boxes == ()
    assert [line["boxes"] for line in lines] == ["6 4 18 16;40 40 62 60", "46 4 58 16;2 40 24 60", ""]
    assert [line["x1"] for line in lines] == ["6", "2", ""]
    assert [line["mask"] for line in lines] == [
        *("scan_Mass_mask.png", "scan_no_thing_here_mask.png", "scan_Hernia_mask.png")
    ]  # fmt: skip
    assert {line["overlay"] for line in lines} == {"scan_overlay.png"}
    named = {name for line in lines for name in (line["mask"], line["overlay"], line["map"])}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*named, "predictions.csv"}


@pytest.mark.parametrize("rule", BOX_RULES)
def test_boxes_are_those_of_the_methods_rule(tmp_path: Path, rule: BoxRule) -> None:
    """Box for box those that the evidence compares with the truth: its overlap and union."""
    study = finished_study(tmp_path / "studies", method="export.class_maps:Boxed", fixes=(f"rule={rule}",))
    bundle = load_bundle(export_study(study, tmp_path / "model").path)
    assert bundle.method.box_rule == rule
    bundle.decision["mask_threshold"] = 0.45
    collection = open_collection(parse_data(SMALL), bundle.method.view)
    rows = np.arange(len(collection))
    observed = [observe_rows(bundle.method, bundle.model, collection, rows[n : n + 1], "box_iou") for n in rows]
    components = Components.merge([each.evidence["components"] for each in observed])
    files = save_images(collection, rows.tolist(), tmp_path / "images")
    answers = {(str(a.source), a.label): a for a in predict_images(bundle, files, tmp_path / "out")}
    overlap, either = components.areas(None, 8)
    several = compared = 0
    for r, (row, label) in enumerate(zip(components.image, components.label, strict=True)):
        answer = answers.get((str(files[row]), collection.classes[label]))
        region = cover(region_boxes(collection.mask(row, label) > 0), collection.size)
        predicted = cover(np.array(answer.boxes if answer else [], np.int64).reshape(-1, 4), collection.size)
        level = bundle.levels[collection.classes[label]]
        assert np.count_nonzero(predicted & region) == overlap[r, level]
        assert np.count_nonzero(predicted | region) == either[r, level]
        compared += bool(answer and answer.boxes)
        several += bool(answer and len(answer.boxes) > 1)
    assert compared > 10
    assert (several > 0) == (rule == "union")
    for line in table(tmp_path / "out"):
        own = answers[line["image"], line["class"]]
        assert line["boxes"] == ";".join(" ".join(map(str, box)) for box in own.boxes)
        around = [line[side] for side in ("x1", "y1", "x2", "y2")]
        assert around == [*map(str, own.box)] if own.box else around == [""] * 4


def test_boxes_of_a_rule_lie_on_the_pixels_of_the_file(blobs: Bundle, tmp_path: Path) -> None:
    Image.fromarray(blob_picture()).save(tmp_path / "scan.png")
    expected = {
        "largest": ((40, 40, 62, 60),),
        "most_active": ((40, 40, 62, 60),),
        "union": ((6, 4, 18, 16), (40, 40, 62, 60)),
    }
    for rule, boxes in expected.items():
        method = type("Ruled", (Blobs,), {"box_rule": rule})({}, blobs.method.task)
        answers = list(
            predict_images(dataclasses.replace(blobs, method=method), [tmp_path / "scan.png"], tmp_path / rule)
        )
        assert answers[0].boxes == boxes
        assert answers[2].boxes == ()
        overlay = np.asarray(Image.open(tmp_path / rule / "scan_overlay.png"))
        drawn = frame(overlay.shape[:2], boxes)
        assert (overlay[drawn] == COLOURS[0]).all(axis=1).mean() > 0.9


def test_maps_are_pictures_of_what_masks_are_cut_from(blobs: Bundle, tmp_path: Path) -> None:
    small = blob_picture()[::2, ::2]
    Image.fromarray(small).save(tmp_path / "scan.png")
    list(predict_images(blobs, [tmp_path / "scan.png"], tmp_path / "out"))
    for line in table(tmp_path / "out"):
        colours = np.asarray(Image.open(tmp_path / "out" / line["map"]))
        values = colours.astype(int).sum(axis=2) // 3
        np.testing.assert_array_equal(values >= 128, read_mask(tmp_path / "out" / line["mask"]))
        if line["class"] == "Mass":
            np.testing.assert_array_equal(values, small)
            assert (np.diff(colours.reshape(-1, 3)[np.argsort(values.ravel())].astype(int), axis=0) >= 0).all()


def test_overlays_show_the_boxes_of_all_classes_and_their_names(blobs: Bundle, tmp_path: Path) -> None:
    large = np.kron(blob_picture(), np.ones((8, 8), np.uint8))
    Image.fromarray(large).save(tmp_path / "scan.png")
    first, second, _ = predict_images(blobs, [tmp_path / "scan.png"], tmp_path / "out")
    overlay = np.asarray(Image.open(tmp_path / "out" / "scan_overlay.png"))
    text = np.zeros(overlay.shape[:2], bool)
    for answer, colour in zip((first, second), COLOURS, strict=False):
        lines = frame(overlay.shape[:2], answer.boxes)
        assert (overlay[lines] == colour).all(axis=1).mean() > 0.9  # but for the names
        for x1, y1, _, _ in answer.boxes:
            name = overlay[y1 - 12 : y1, x1 : x1 + 20]
            assert (name == colour).all(axis=2).any(), "the name's ground has the colour of its class"
            assert (name == 0).all(axis=2).any(), "and the name is black"
            text[max(0, y1 - 30) : y1, x1 : x1 + 200] = True
            text[max(0, y1 - 30) : y1, -200:] = True
    untouched = ~first.mask & ~second.mask & ~text & ~frame(text.shape, (*first.boxes, *second.boxes), 3)
    assert untouched.mean() > 0.5
    np.testing.assert_array_equal(overlay[untouched], np.repeat(large[untouched][:, None], 3, axis=1))


def test_names_that_would_meet_get_a_number(blobs: Bundle, tmp_path: Path) -> None:
    """The class ``b`` of the image ``a_Mass`` and the class ``Mass_b`` of the image ``a``."""
    task = dataclasses.replace(blobs.method.task, classes=("b", "Mass_b", "no thing", "no/thing"))
    blobs.method.task = task
    for name in ("a", "a_Mass"):
        Image.fromarray(blob_picture()).save(tmp_path / f"{name}.png")
    list(predict_images(blobs, [tmp_path / "a.png", tmp_path / "a_Mass.png"], tmp_path / "out"))
    lines = table(tmp_path / "out")
    files = [line[kind] for line in lines for kind in ("mask", "map")]
    assert len(set(files)) == len(files)
    assert {line["overlay"] for line in lines} == {"a_overlay.png", "a_Mass-2_overlay.png"}
    assert [line["mask"] for line in lines if line["class"] == "no/thing"] == [
        *("a_no_thing-2_mask.png", "a_Mass-2_no_thing-2_mask.png")
    ]  # fmt: skip


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 50), (40, 3), (200, 300)])
def test_several_classes_on_pictures_of_any_size(blobs: Bundle, tmp_path: Path, height: int, width: int) -> None:
    Image.fromarray(np.full((height, width), 220, np.uint8)).save(tmp_path / "scan.png")
    first, *_ = predict_images(blobs, [tmp_path / "scan.png"], tmp_path / "out")
    assert first.boxes == ((0, 0, width, height),)
    for line in table(tmp_path / "out"):
        for kind in ("mask", "map", "overlay"):
            assert Image.open(tmp_path / "out" / line[kind]).size == (width, height)


@pytest.mark.parametrize(("height", "width"), [(1, 60_000), (60_000, 1)])
def test_a_thin_picture_takes_no_square_of_its_long_side(
    blobs: Bundle, tmp_path: Path, height: int, width: int
) -> None:
    Image.fromarray(picture(0, height, width)).save(tmp_path / "thin.png")
    (answer, *_) = predict_images(
        blobs, [tmp_path / "thin.png"], tmp_path / "out"
    )  # 10 GB, with the rest of the square
    assert answer.mask.shape == (height, width)
    assert np.asarray(Image.open(tmp_path / "out" / "thin_overlay.png")).shape == (height, width, 3)


def test_an_empty_mask_has_no_box(bundle: Bundle, tmp_path: Path) -> None:
    bundle.decision["mask_threshold"] = 256 / 255
    image = tmp_path / "scan.png"
    Image.fromarray(picture(0, 32, 32)).save(image)
    (answer,) = predict_images(bundle, [image], tmp_path / "out")
    assert (answer.box, answer.area) == (None, 0)
    (line,) = table(tmp_path / "out")
    assert [line[side] for side in ("x1", "y1", "x2", "y2")] == [""] * 4


FORMS = {
    "grey": lambda grey: Image.fromarray(grey),
    "rgb": lambda grey: Image.fromarray(np.repeat(grey[:, :, None], 3, axis=2)),
    "rgba": lambda grey: Image.fromarray(np.dstack([grey, grey, grey, np.full_like(grey, 255)])),
    "16 bit": lambda grey: Image.fromarray(grey.astype(np.uint16) * 257),
    "12 of 16 bit": lambda grey: Image.fromarray(grey.astype(np.uint16) * 16),
    "palette": lambda grey: Image.fromarray(np.repeat(grey[:, :, None] // 16 * 16, 3, axis=2)).convert("P"),
}


@pytest.mark.parametrize(("height", "width"), [(32, 32), (31, 97), (120, 40), (1, 50), (1, 1)])
def test_masks_and_overlays_have_the_size_of_the_picture(
    bundle: Bundle, tmp_path: Path, height: int, width: int
) -> None:
    files = []
    for name, form in FORMS.items():
        files.append(tmp_path / f"{name}.png")
        form(picture(3, height, width)).save(files[-1])
    answers = list(predict_images(bundle, files, tmp_path / "out"))
    for line in table(tmp_path / "out"):
        assert Image.open(tmp_path / "out" / line["mask"]).size == (width, height)
        assert Image.open(tmp_path / "out" / line["overlay"]).size == (width, height)
    grey, rgb, rgba, wide, twelve, _ = answers
    for same in (rgb, rgba, wide, twelve):
        np.testing.assert_array_equal(same.mask, grey.mask)
        assert same.score == grey.score


def test_colour_models_take_grey_pictures(tmp_path: Path) -> None:
    from data.data_layouts import make_glas

    rows = [(f"train_{n}", n, ("benign", "malignant")[n % 2]) for n in range(1, 21)]
    study = finished_study(
        tmp_path / "studies",
        data=f"glas:{make_glas(tmp_path / 'data', rows)},size=32",
        preset="small",
        fixes=("batch=2",),
    )
    bundle = load_bundle(export_study(study, tmp_path / "model").path)
    for name in ("grey", "rgb"):
        FORMS[name](picture(1, 40, 50)).save(tmp_path / f"{name}.png")
    grey, rgb = predict_images(bundle, [tmp_path / "grey.png", tmp_path / "rgb.png"], tmp_path / "out")
    np.testing.assert_array_equal(grey.mask, rgb.mask)


def test_a_larger_copy_of_a_picture_gets_a_larger_copy_of_the_mask(bundle: Bundle, tmp_path: Path) -> None:
    small = picture(5, 32, 32)
    Image.fromarray(small).save(tmp_path / "small.png")
    Image.fromarray(np.kron(small, np.ones((4, 4), np.uint8))).save(tmp_path / "large.png")
    one, other = predict_images(bundle, [tmp_path / "small.png", tmp_path / "large.png"], tmp_path / "out")
    agreement = (np.kron(one.mask, np.ones((4, 4), bool)) == other.mask).mean()
    assert agreement > 0.95  # antialiasing looks at neighbours
    blocks = other.mask.reshape(32, 4, 32, 4)
    assert (blocks == blocks[:, :1, :, :1]).all(), "a pixel of the model is a block of the picture, no more and no less"


def test_images_of_the_same_name(bundle: Bundle, tmp_path: Path) -> None:
    files = []
    for number, name in enumerate(("a/scan.png", "b/scan.png", "b/scan-2.png", "c/scan.png", "c/scan.bmp")):
        files.append(tmp_path / name)
        files[-1].parent.mkdir(exist_ok=True)
        Image.fromarray(picture(number, 32, 40 + number)).save(files[-1])
    files.append(files[0])
    list(predict_images(bundle, files, tmp_path / "out"))
    lines = table(tmp_path / "out")
    assert [line["image"] for line in lines] == [str(file) for file in files]
    masks = [line["mask"] for line in lines]
    assert len(set(masks)) == len(files)
    for file, line in zip(files, lines, strict=True):
        assert Image.open(tmp_path / "out" / line["mask"]).size == Image.open(file).size


def test_folders_give_their_images_in_the_order_of_names(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    (folder / "deeper").mkdir(parents=True)
    for name in ("b.PNG", "a.jpg", "c.tif", "notes.txt", "deeper/d.png"):
        if name.endswith("txt"):
            (folder / name).write_text("not an image")
        else:
            Image.fromarray(picture(0, 32, 32)).save(folder / name)
    answers = list(predict_images(bundle, [folder], tmp_path / "out"))
    assert [answer.source.name for answer in answers] == ["a.jpg", "b.PNG", "c.tif"]


def test_hidden_files_of_a_folder_are_no_images(bundle: Bundle, tmp_path: Path) -> None:
    """What macOS leaves on USB sticks and in ZIP files."""
    (tmp_path / "scans").mkdir()
    Image.fromarray(picture(0, 32, 32)).save(tmp_path / "scans" / "a.png")
    (tmp_path / "scans" / "._a.png").write_bytes(b"\0\5\x16\7")
    (answer,) = predict_images(bundle, [tmp_path / "scans"], tmp_path / "out")
    assert answer.source.name == "a.png"
    (tmp_path / "scans" / "a.png").unlink()
    with pytest.raises(ExportError, match="holds no image"):
        list(predict_images(bundle, [tmp_path / "scans"], tmp_path / "out"))


def test_what_was_done_to_a_file_is_said(bundle: Bundle, model: Path, tmp_path: Path, capsys: Any) -> None:
    grey = picture(0, 24, 32)
    Image.fromarray(grey).save(tmp_path / "8.png")
    Image.fromarray(grey.astype(np.uint16) * 16).save(tmp_path / "12.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right by a quarter
    Image.fromarray(np.ascontiguousarray(np.rot90(grey))).save(tmp_path / "turned.png", exif=exif)
    files = [tmp_path / f"{name}.png" for name in ("8", "12", "turned")]
    plain, twelve, turned = predict_images(bundle, files, tmp_path / "out")
    assert plain.notes == ()
    for other, note in ((twelve, "16-bit pixels were read as 12 bits"), (turned, "turned upright")):
        np.testing.assert_array_equal(other.mask, plain.mask)
        assert other.score == plain.score
        assert [said.startswith(note) for said in other.notes] == [True]
    with pytest.raises(SystemExit, match="0"):
        main(["predict", str(model), *map(str, files), "--out", str(tmp_path / "again")])
    assert "\nnote: 1 image: turned upright, as the EXIF orientation says" in capsys.readouterr().out


def test_bits_are_stated_or_those_of_the_models_data(bundle: Bundle, model: Path, tmp_path: Path) -> None:
    grey = picture(0, 32, 32)
    Image.fromarray(grey).save(tmp_path / "8.png")
    Image.fromarray(grey.astype(np.uint16) * 4).save(tmp_path / "10.png")
    (plain,) = predict_images(bundle, [tmp_path / "8.png"], tmp_path / "8")
    with pytest.raises(ExportError, match=r"10 bits, or 12 and dark; tell which by --bits 10 or --bits 12"):
        list(predict_images(bundle, [tmp_path / "10.png"], tmp_path / "10"))
    config = bundle.config | {"data": bundle.config["data"] | {"source": "montgomery:/data,bits=10"}}
    same = dataclasses.replace(bundle, config=config)
    for answers in (
        predict_images(bundle, [tmp_path / "10.png"], tmp_path / "10", bits=10),
        predict_images(same, [tmp_path / "10.png"], tmp_path / "10"),
    ):
        assert [answer.score for answer in answers] == [plain.score]
    with pytest.raises(SystemExit, match="0"):
        main(["predict", str(model), str(tmp_path / "10.png"), "--out", str(tmp_path / "again"), "--bits", "10"])
    assert table(tmp_path / "again")[0]["score"] == f"{plain.score:.6f}"


def test_images_of_jsrt_without_a_header_are_read_as_by_their_kind(bundle: Bundle, tmp_path: Path) -> None:
    root = make_jsrt(tmp_path / "jsrt")
    kind = open_collection(parse_data(f"jsrt:{root},size=32"), "single", tmp_path / "cache")
    answers = list(predict_images(bundle, [root / "All247images"], tmp_path / "out"))
    assert tuple(answer.source.name for answer in answers) == kind.image_ids
    pictures = [root / "All247images" / f"{row}.png" for row in range(len(kind))]
    for path, pixels in zip(pictures, kind.images[:, 0], strict=True):
        Image.fromarray(np.array(pixels)).save(path)
    same = list(predict_images(bundle, pictures, tmp_path / "same"))
    assert [answer.score for answer in answers] == [answer.score for answer in same]
    assert Image.open(tmp_path / "out" / "JPCLN001_overlay.png").size == (2048, 2048)
    (tmp_path / "other.img").write_bytes(b"9" * 9)
    with pytest.raises(ExportError, match=r"9 bytes, expected 8,388,608 for JSRT's 2048x2048 pixels.*0 is black"):
        list(predict_images(bundle, [tmp_path / "other.img"], tmp_path / "out"))


def test_names_that_are_not_utf_8(bundle: Bundle, model: Path, tmp_path: Path, capsysbinary: Any) -> None:
    raw = os.fsencode(tmp_path) + b"/r\xf6ntgen.png"
    Image.fromarray(picture(0, 32, 32)).save(os.fsdecode(raw))
    (answer,) = predict_images(bundle, [Path(os.fsdecode(raw))], tmp_path / "out")
    assert os.fsencode(table(tmp_path / "out")[0]["image"]) == raw
    assert os.path.exists(tmp_path / "out" / table(tmp_path / "out")[0]["mask"])
    with pytest.raises(SystemExit, match="0"):
        main(["predict", str(model), os.fsdecode(raw), "--out", str(tmp_path / "again")])
    assert capsysbinary.readouterr().out.startswith(raw + b": " + answer.label.encode())


def test_nothing_is_kept_of_images_that_are_done(bundle: Bundle, tmp_path: Path) -> None:
    """A folder of any number of pictures fits into memory: answers come one by one."""
    for name in ("a", "b"):
        Image.fromarray(picture(0, 32, 32)).save(tmp_path / f"{name}.png")
    answers = predict_images(bundle, [tmp_path / "a.png", tmp_path / "b.png"], tmp_path / "out")
    next(answers)
    assert (tmp_path / "out" / "a_mask.png").exists()
    assert not (tmp_path / "out" / "b_mask.png").exists()
    next(answers)
    assert (tmp_path / "out" / "b_mask.png").exists()
    with pytest.raises(StopIteration):
        next(answers)


def test_json_says_what_the_table_says(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(picture(2, 40, 32)).save(tmp_path / "scan.png")
    with pytest.raises(SystemExit, match="0"):
        main(["predict", str(model), str(tmp_path / "scan.png"), "--out", str(tmp_path / "out"), "--json"])
    (answer,) = json.loads(capsys.readouterr().out)
    (line,) = table(tmp_path / "out")
    assert (answer["image"], answer["class"]) == (line["image"], line["class"])
    assert answer["box"] == [int(line[side]) for side in ("x1", "y1", "x2", "y2")]
    assert answer["boxes"] == [answer["box"]]
    for name in ("score", "threshold", "area"):
        assert answer[name] == pytest.approx(float(line[name]), abs=1e-6)


def test_predicting_needs_no_data_and_no_study(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = model.rename(tmp_path / "moved")
    monkeypatch.setenv("RAYSEARCH_STUDIES", str(tmp_path / "none"))
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "none"))
    Image.fromarray(picture(2, 40, 32)).save(tmp_path / "scan.png")
    assert len(list(predict_images(load_bundle(moved), [tmp_path / "scan.png"], tmp_path / "out"))) == 1
    assert not (tmp_path / "none").exists()


def test_the_folder_of_the_images_is_not_written_to(bundle: Bundle, tmp_path: Path) -> None:
    Image.fromarray(picture(2, 40, 32)).save(tmp_path / "scan.png")
    Image.fromarray(picture(3, 40, 32)).save(tmp_path / "scan_mask.png")  # the user's own
    before = (tmp_path / "scan_mask.png").read_bytes()
    with pytest.raises(ExportError, match="give another folder"):
        list(predict_images(bundle, [tmp_path / "scan.png"], tmp_path))
    assert (tmp_path / "scan_mask.png").read_bytes() == before
