"""Small collections with labels but no pictures, and files that say how to split them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from raysearch.data import PRESENT, Collection, Split


def collection(
    labels: np.ndarray,
    truth: np.ndarray | None = None,
    patients: np.ndarray | None = None,
    official: np.ndarray | None = None,
    view: str = "single",
) -> Collection:
    labels = np.asarray(labels, np.int8)
    count, classes = labels.shape
    truth = labels if truth is None else np.asarray(truth, np.int8)
    mask_row = np.where(truth == PRESENT, 0, -1).astype(np.int32)
    return Collection(
        source="made",
        view=view,
        classes=tuple("abcdefgh"[:classes]),
        image_ids=tuple(f"i{row}" for row in range(count)),
        patients=np.array([f"p{row}" for row in range(count)])
        if patients is None
        else np.asarray(patients).astype(str),
        images=np.zeros((count, 1, 2, 2), np.uint8),
        labels=labels,
        truth=truth,
        mask_row=mask_row,
        masks=np.ones((1, 2, 2), np.uint8),
        official=np.full(count, "") if official is None else np.asarray(official),
        fingerprint="f" * 64,
        folder="",
    )


def one_hot(classes: np.ndarray | list[int], count: int = 2) -> np.ndarray:
    return np.eye(count, dtype=np.int8)[np.asarray(classes)]


def parts(split: Split) -> list[np.ndarray]:
    return [split.train, split.tuning, split.test]


def write(path: Path, lines: list[str]) -> str:
    path.write_text("\n".join(["image,split", *lines]))
    return str(path)


def lines(path: Path, names: object) -> Path:
    path.write_text("\n".join(map(str, names)))  # type: ignore[call-overload]
    return path
