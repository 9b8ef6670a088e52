"""Masks of new images: one mask, one overlay and one line of predictions.csv an image."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from raysearch.data._decode import Fit, UnreadableError, read_image
from raysearch.errors import ExportError, StorageError
from raysearch.export._bundle import Bundle
from raysearch.study._study import is_disk_full
from raysearch.thresholds import binarise, quantise

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
COLOUR = np.array([255, 64, 32], np.float32)
OPACITY = 0.4
COLUMNS = ("image", "class", "score", "threshold", "area", "x1", "y1", "x2", "y2", "mask", "overlay")


@dataclass(frozen=True)
class PredictedImage:
    """An image's answer, in the pixels of its file.

    Attributes:
        mask: (H, W) bool.
        label: predicted class.
        score: its probability.
        threshold: that the mask was cut at.
    """

    source: Path
    mask: NDArray[np.bool_]
    label: str
    score: float
    threshold: float

    @property
    def area(self) -> float:
        """Share of the image that the mask covers, in [0, 1]."""
        return float(self.mask.mean())

    @property
    def box(self) -> tuple[int, int, int, int] | None:
        """(x1, y1, x2, y2), half-open, around the mask; None if it is empty."""
        ys, xs = np.nonzero(self.mask)
        if not len(xs):
            return None
        return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1


def predict_images(bundle: Bundle, images: Sequence[Path], out: Path) -> Iterator[PredictedImage]:
    """Predicts images one by one and writes ``<name>_mask.png``, ``<name>_overlay.png`` and a line of
    ``predictions.csv`` each into `out`.

    Raises:
        ExportError: an image is missing or cannot be read (all of them are looked at before anything is written), or
            `out` cannot be written or is the folder of an image.
        StorageError: the disk is full.
    """
    files = list(_files(images))
    size = bundle.method.task.size[0]
    for file in files:
        _read(file, size, bundle.method.task.channels)
    if any(file.absolute().parent.samefile(out) for file in files if out.exists()):
        raise ExportError(f"--out {out} holds an image to predict; give another folder, so that nothing is overwritten")
    try:
        out.mkdir(parents=True, exist_ok=True)
        # file names need not be UTF-8
        with open(out / "predictions.csv", "w", newline="", encoding="utf-8", errors="surrogateescape") as table:
            writer = csv.writer(table, lineterminator="\n")
            writer.writerow(COLUMNS)
            for name, file in zip(_names(files), files, strict=True):
                answer = predict_image(bundle, file)
                mask_name, overlay_name = f"{name}_mask.png", f"{name}_overlay.png"
                Image.fromarray(answer.mask.astype(np.uint8) * 255).save(out / mask_name)
                Image.fromarray(overlay(file, answer.mask)).save(out / overlay_name)
                box = answer.box or ("", "", "", "")
                writer.writerow(
                    [
                        *(file, answer.label, f"{answer.score:.6f}", f"{answer.threshold:.6f}", f"{answer.area:.6f}"),
                        *(*box, mask_name, overlay_name),
                    ]
                )
                yield answer
    except OSError as error:
        if is_disk_full(error):
            raise StorageError(f"the disk of {out} is full; free some space and predict again") from None
        raise ExportError(f"{out} cannot be written ({error.strerror}); give another --out") from None


def predict_image(bundle: Bundle, file: Path) -> PredictedImage:
    """One image, at the size and by the rule that the model was scored with; the mask is then brought back to the
    file's own pixels by the nearest one."""
    task = bundle.method.task
    pixels, fit = _read(file, task.size[0], task.channels)
    with torch.no_grad():
        prediction = bundle.method.predict(bundle.model, torch.from_numpy(pixels)[None].float() / 255)
    scores = prediction.scores[0].numpy()
    index = int(scores.argmax())
    label = task.classes[index]
    maps = quantise(prediction.maps[0].numpy())
    mask = binarise(maps[index % len(maps)], bundle.levels[label])
    return PredictedImage(file, _to_source(mask, fit), label, float(scores[index]), bundle.levels[label] / 255)


def overlay(file: Path, mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: the picture with the mask laid over it and outlined."""
    height, width = mask.shape
    pixels, fit = read_image(file, max(height, width), 3)
    picture = pixels[(slice(None), *fit.window)].transpose(1, 2, 0).astype(np.float32)
    picture = picture[:height, :width]
    inside = mask.copy()
    inside[1:-1, 1:-1] &= mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    edge = mask & ~inside
    picture[mask] = (1 - OPACITY) * picture[mask] + OPACITY * COLOUR
    picture[edge] = COLOUR
    return picture.round().astype(np.uint8)


def _to_source(mask: NDArray[np.bool_], fit: Fit) -> NDArray[np.bool_]:
    placed = Image.fromarray(mask[fit.window].astype(np.uint8) * 255)
    return np.asarray(placed.resize(fit.source, Image.Resampling.NEAREST)) > 127


def _files(images: Sequence[Path]) -> Iterator[Path]:
    """Images as given; of a folder those in it, in the order of their names."""
    for image in images:
        if os.path.isdir(image):
            inside = sorted(p for p in image.iterdir() if p.suffix.lower() in SUFFIXES)
            if not inside:
                raise ExportError(f"{image} holds no image ({', '.join(SUFFIXES)}); name the folder that does")
            yield from inside
        elif os.path.isfile(image):  # as Path.is_file, but False for a name that no file can have
            yield image
        else:
            raise ExportError(f"image {image} does not exist; expected image files, or folders of them")


def _names(files: Sequence[Path]) -> list[str]:
    """A name for each image's files; images of the same name get a number."""
    taken: set[str] = set()
    numbers: dict[str, int] = {}
    names = []
    for file in files:
        name = file.stem
        while name in taken:  # scan-2 may itself be an image's name
            numbers[file.stem] = numbers.get(file.stem, 1) + 1
            name = f"{file.stem}-{numbers[file.stem]}"
        taken.add(name)
        names.append(name)
    return names


def _read(file: Path, size: int, channels: int) -> tuple[NDArray[np.uint8], Fit]:
    try:
        return read_image(file, size, channels)
    except UnreadableError as error:
        raise ExportError(
            f"image {file} cannot be read ({error}); leave it out or save it as PNG, nothing was predicted"
        ) from None
