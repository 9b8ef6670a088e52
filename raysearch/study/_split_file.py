"""split.csv: which image is in which part, and which keeps its regions, written once and read ever after."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raysearch.data import PARTS, UNUSED, Annotation, Collection, Split
from raysearch.errors import StudyError
from raysearch.study._study import Study
from raysearch.study._trial_folder import write_atomically

_COLUMNS = ["row", "image", "split", "annotated"]


def write_parts(study: Study, collection: Collection, split: Split, annotation: Annotation) -> None:
    """One line an image: row in the collection, image, part, and whether training may see its regions."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    used, annotated = set(annotation.train.tolist()), set(annotation.annotated.tolist())
    for part in PARTS:
        for row in getattr(split, part).tolist():
            said = UNUSED if part == "train" and row not in used else part
            writer.writerow([row, collection.image_ids[row], said, int(row in annotated)])
    write_atomically(study.split_file, text.getvalue().encode())


def read_parts(study: Study) -> dict[str, NDArray[np.int64]]:
    """Rows of each part, and under ``annotated`` those of train whose regions training may see.

    Raises:
        StudyError: the file is missing or not what `write_parts` wrote.
    """
    rows: dict[str, list[int]] = {part: [] for part in (*PARTS, "annotated", UNUSED)}
    try:
        with open(study.split_file, newline="") as file:
            for line in csv.DictReader(file):
                rows[line["split"]].append(int(line["row"]))
                if int(line["annotated"]):
                    rows["annotated"].append(int(line["row"]))
        if empty := [part for part in PARTS if not rows[part]]:
            raise ValueError(f"no image in {empty[0]}")
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise StudyError(
            f"{study.split_file} cannot be read ({error}): expected the columns {', '.join(_COLUMNS)}; restore it"
            " from a copy"
        ) from None
    arrays: dict[str, Any] = {part: np.asarray(values, np.int64) for part, values in rows.items()}
    return arrays
