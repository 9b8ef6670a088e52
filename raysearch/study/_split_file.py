"""split.csv: which image is in which part, and which keeps its label and regions, written once, read ever after."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raysearch.data import PARTS, UNUSED, Annotation, Collection, Labelling, Split
from raysearch.errors import StudyError
from raysearch.study._study import Study
from raysearch.study._trial_folder import write_atomically

_SEEN = ("labelled", "annotated")
_COLUMNS = ["row", "image", "split", *_SEEN]


def write_parts(
    study: Study, collection: Collection, split: Split, annotation: Annotation, labelling: Labelling
) -> None:
    """One line an image: row in the collection, image, part, whether training may see its labels, and its regions.

    Those in no part come last: a split file has to name every image.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    used = set(annotation.train.tolist())
    seen = [set(rows.tolist()) for rows in (labelling.labelled, annotation.annotated)]
    for part in PARTS:
        for row in getattr(split, part).tolist():
            said = UNUSED if part == "train" and row not in used else part
            writer.writerow([row, collection.image_ids[row], said, *(int(row in rows) for rows in seen)])
    divided = np.concatenate([getattr(split, part) for part in PARTS])
    for row in np.setdiff1d(np.arange(len(collection)), divided).tolist():
        writer.writerow([row, collection.image_ids[row], UNUSED, 0, 0])
    write_atomically(study.split_file, text.getvalue().encode())


def read_parts(study: Study) -> dict[str, NDArray[np.int64]]:
    """Rows of each part; under ``labelled`` and ``annotated`` those of train whose labels, and whose regions, training
    may see.

    Raises:
        StudyError: the file is missing or not what `write_parts` wrote.
    """
    rows: dict[str, list[int]] = {part: [] for part in (*PARTS, *_SEEN, UNUSED)}
    try:
        with open(study.split_file, newline="", encoding="utf-8") as file:
            for line in csv.DictReader(file):
                rows[line["split"]].append(int(line["row"]))
                for column in _SEEN:
                    if int(line[column]):
                        rows[column].append(int(line["row"]))
        if empty := [part for part in PARTS if not rows[part]]:
            raise ValueError(f"no image in {empty[0]}")
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise StudyError(
            f"{study.split_file} cannot be read ({error}): expected the columns {', '.join(_COLUMNS)}; restore it"
            " from a copy"
        ) from None
    arrays: dict[str, Any] = {part: np.asarray(values, np.int64) for part, values in rows.items()}
    return arrays
