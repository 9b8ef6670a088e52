"""Masks and boxes of new images: pictures, and lines of predictions.csv."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from raysearch._draw import COLOURS, Box, Mark, draw, heat_map
from raysearch.data import parse_data
from raysearch.data._depth import Depth
from raysearch.data._fit import Fit, FitMode
from raysearch.data._image_file import RAW, UnreadableError
from raysearch.data._picture import Picture, read_image, read_upright
from raysearch.data.kinds._files import IMAGES, files_in
from raysearch.errors import DataError, ExportError, StorageError
from raysearch.export._bundle import Bundle
from raysearch.method import Task, predicted
from raysearch.study._study import is_disk_full
from raysearch.thresholds import binarise, boxes_at, quantise
from raysearch.thresholds._boxes import Boxes, cover

SUFFIXES = (*IMAGES, *RAW)
COLUMNS = ("image", "class", "score", "threshold", "area", "x1", "y1", "x2", "y2", "mask", "overlay", "boxes")
MULTI_COLUMNS = (*COLUMNS, "map")


@dataclass(frozen=True)
class PredictedImage:
    """What is said of an image and a class, in the pixels of the image's file, upright.

    Attributes:
        mask: (H, W) bool.
        map: (H, W) uint8, the quantised map that the mask was cut from.
        label: the class.
        score: its probability.
        threshold: that the map was cut at.
        boxes: that the method's rule makes of the model's own mask (`Method.box_rule`). Without a rule around the mask,
            or in the multi view around each of its regions (8-connected, in the order of their first rows). None if it
            is empty.
        notes: what was done to the file to read it, one line each.
    """

    source: Path
    mask: NDArray[np.bool_]
    map: NDArray[np.uint8]
    label: str
    score: float
    threshold: float
    boxes: tuple[Box, ...]
    notes: tuple[str, ...] = ()

    @property
    def area(self) -> float:
        """Share of the image that the mask covers, in [0, 1]."""
        return float(self.mask.mean())

    @property
    def box(self) -> Box | None:
        """Around all of `boxes`; None without any."""
        if not self.boxes:
            return None
        left, top, right, bottom = zip(*self.boxes, strict=True)
        return min(left), min(top), max(right), max(bottom)


def predict_images(
    bundle: Bundle, images: Sequence[Path], out: Path, bits: int | None = None
) -> Iterator[PredictedImage]:
    """Predicts images one by one and writes pictures and lines of ``predictions.csv`` into `out`.

    Single view: one answer an image, that of its class: ``<name>_mask.png``, ``<name>_overlay.png`` and a line. Multi
    view: an answer for every class whose mask is not empty and for the class of the highest score, each with
    ``<name>_<class>_mask.png``, ``<name>_<class>_map.png`` and a line, and one ``<name>_overlay.png``.

    Args:
        bits: of the values in 16-bit files; None takes those that the model's data was given with, or judges each file
            by itself.

    Raises:
        ExportError: an image is missing or cannot be read (all of them are looked at before anything is written), or
            `out` cannot be written or is the folder of an image.
        StorageError: the disk is full.
    """
    files = list(_files(images))
    task = bundle.method.task
    bits = stated_bits(bundle) if bits is None else bits
    depth = None if bits is None else Depth(bits, stated=True)
    for file in files:
        _read(file, task.size[0], task.channels, bundle.fit, depth)
    if any(file.absolute().parent.samefile(out) for file in files if out.exists()):
        raise ExportError(f"--out {out} holds an image to predict; give another folder, so that nothing is overwritten")
    try:
        out.mkdir(parents=True, exist_ok=True)
        # file names need not be UTF-8
        with open(out / "predictions.csv", "w", newline="", encoding="utf-8", errors="surrogateescape") as table:
            writer = csv.writer(table, lineterminator="\n")
            writer.writerow(MULTI_COLUMNS if task.view == "multi" else COLUMNS)
            suffixes = _suffixes(task)
            for name, file in zip(_names(files, suffixes.values()), files, strict=True):
                answers = predict_image(bundle, file, depth)
                Image.fromarray(overlay(file, answers, task.classes, depth)).save(out / f"{name}_overlay.png")
                for answer in answers:
                    stem = name + suffixes[answer.label]
                    maps = [f"{stem}_map.png"] if task.view == "multi" else []
                    writer.writerow([*_line(answer, stem), f"{name}_overlay.png", _text(answer.boxes), *maps])
                    Image.fromarray(answer.mask.astype(np.uint8) * 255).save(out / f"{stem}_mask.png")
                    if task.view == "multi":
                        Image.fromarray(heat_map(answer.map)).save(out / f"{stem}_map.png")
                    yield answer
    except OSError as error:
        if is_disk_full(error):
            raise StorageError(f"the disk of {out} is full; free some space and predict again") from None
        raise ExportError(f"{out} cannot be written ({error.strerror}); give another --out") from None


def stated_bits(bundle: Bundle) -> int | None:
    """The bits that the model's data was given with (``bits=12``); None where they were not."""
    try:
        return parse_data(bundle.config.get("data", {}).get("source", "")).bits
    except DataError:  # a kind of data that is not known here
        return None


def predict_image(bundle: Bundle, file: Path, depth: Depth | None = None) -> list[PredictedImage]:
    """One image, at the size and by the rule that the model was scored with; the masks are then brought back to the
    file's own pixels by the nearest one. The classes are those of `predict_images`, in the task's order."""
    task = bundle.method.task
    read = _read(file, task.size[0], task.channels, bundle.fit, depth)
    pixels, fit = read.pixels, read.fit
    inside = torch.zeros(1, *task.size, dtype=torch.bool)
    inside[(0, *fit.window)] = True
    images = torch.from_numpy(pixels)[None].float() / 255
    with torch.no_grad():
        prediction = predicted(bundle.method, bundle.model, images, None if inside.all() else inside)
    scores = prediction.scores[0].numpy()
    top = int(scores.argmax())
    maps = quantise(prediction.maps[0].numpy())
    levels = [bundle.levels[label] for label in task.classes]
    rule = bundle.method.box_rule
    several = task.view == "multi" and len(maps) == len(task.classes)
    answers = []
    for index in range(len(task.classes)) if several else (top,):
        values = maps[index % len(maps)]
        mask = fit.to_source(binarise(values, levels[index]))
        if index == top or mask.any():
            answers.append(
                PredictedImage(
                    source=file,
                    mask=mask,
                    map=fit.to_source(values),
                    label=task.classes[index],
                    score=float(scores[index]),
                    threshold=levels[index] / 255,
                    boxes=_boxes(mask, each=task.view == "multi")
                    if rule is None
                    else _rule_boxes(boxes_at(values[fit.window], levels[index], rule), fit),
                    notes=_notes(read),
                )
            )
    return answers


def overlay(
    file: Path, answers: Sequence[PredictedImage], classes: Sequence[str], depth: Depth | None = None
) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: the picture with the masks of all answers, their boxes and classes."""
    return draw(
        read_upright(file, depth),
        [
            Mark(a.mask, a.boxes, f"{a.label} {a.score:.2f}", COLOURS[classes.index(a.label) % len(COLOURS)])
            for a in answers
        ],
    )


def _line(answer: PredictedImage, stem: str) -> list[Any]:
    numbers = (f"{value:.6f}" for value in (answer.score, answer.threshold, answer.area))
    return [answer.source, answer.label, *numbers, *(answer.box or ("",) * 4), f"{stem}_mask.png"]


def _text(boxes: Sequence[Box]) -> str:
    """``x1 y1 x2 y2``, with semicolons between them."""
    return ";".join(" ".join(map(str, box)) for box in boxes)


def _box(mask: NDArray[np.bool_]) -> Box | None:
    ys, xs = np.nonzero(mask)
    if not len(xs):
        return None
    return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1


def _boxes(mask: NDArray[np.bool_], *, each: bool) -> tuple[Box, ...]:
    """Around each 8-connected region, or around all of them."""
    if not each:
        whole = _box(mask)
        return () if whole is None else (whole,)
    regions, _ = ndimage.label(mask, np.ones((3, 3)))
    return tuple((x.start, y.start, x.stop, y.stop) for y, x in ndimage.find_objects(regions))


def _rule_boxes(boxes: Boxes, fit: Fit) -> tuple[Box, ...]:
    """Boxes in the model's pixels of the picture, at the file's pixels by the nearest one; without those that have none
    there."""
    on_canvas = boxes + np.array([*fit.offset, *fit.offset])
    placed = (_box(fit.to_source(cover(box[None], (fit.size, fit.size)))) for box in on_canvas)
    return tuple(box for box in placed if box is not None)


def _files(images: Sequence[Path]) -> Iterator[Path]:
    """Images as given; of a folder those in it that are not hidden, in the order of their names."""
    for image in images:
        if os.path.isdir(image):
            inside = files_in(image, SUFFIXES)
            if not inside:
                raise ExportError(f"{image} holds no image ({', '.join(SUFFIXES)}); name the folder that does")
            yield from inside
        elif os.path.isfile(image):  # as Path.is_file, but False for a name that no file can have
            yield image
        else:
            raise ExportError(f"image {image} does not exist; expected image files, or folders of them")


def _suffixes(task: Task) -> dict[str, str]:
    """By class, what its files have between the image's name and their own ending: nothing in the single view."""
    if task.view == "single":
        return dict.fromkeys(task.classes, "")
    plain = _distinct([re.sub(r"[^\w.-]+", "_", name) for name in task.classes], ("",))
    return {label: f"_{name}" for label, name in zip(task.classes, plain, strict=True)}


def _names(files: Sequence[Path], suffixes: Iterable[str]) -> list[str]:
    """A name for each image's files; images of the same name get a number."""
    return _distinct([file.stem for file in files], ("_overlay.png", *(f"{suffix}_mask.png" for suffix in suffixes)))


def _distinct(stems: Sequence[str], endings: Sequence[str]) -> list[str]:
    """The stems, with a number where one with any of the endings is there already."""
    taken: set[str] = set()
    numbers: dict[str, int] = {}
    names = []
    for stem in stems:
        name = stem
        while any(name + ending in taken for ending in endings):  # scan-2 may itself be an image's name
            numbers[stem] = numbers.get(stem, 1) + 1
            name = f"{stem}-{numbers[stem]}"
        taken.update(name + ending for ending in endings)
        names.append(name)
    return names


def _notes(read: Picture) -> tuple[str, ...]:
    notes = []
    if read.bits is not None and read.bits < 16:
        notes.append(f"16-bit pixels were read as {read.bits} bits (--bits 16 if that is what they are)")
    if read.turned:
        notes.append("turned upright, as the EXIF orientation says: mask, boxes and overlay are upright")
    return tuple(notes)


def _read(file: Path, size: int, channels: int, mode: FitMode, depth: Depth | None) -> Picture:
    try:
        return read_image(file, size, channels, mode, depth)
    except UnreadableError as error:
        raise ExportError(
            f"image {file} cannot be read ({error}); leave it out or save it as PNG, in which 0 is black; nothing"
            " was predicted"
        ) from None
