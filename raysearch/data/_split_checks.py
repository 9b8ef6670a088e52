"""What a split has to hold, and what makes its results weak."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from raysearch.data._collection import PRESENT, Collection
from raysearch.data._left_out import left_out, unknown_regions
from raysearch.data._parts import PARTS
from raysearch.errors import DataError

_FEW_IMAGES, _FEW_PATIENTS = 50, 5


def refuse_unusable(collection: Collection, part: NDArray[np.int64], needs_regions: bool) -> None:
    """Refuses a division that nothing can be learned from or ranked by.

    Args:
        part: (N,) index into `PARTS`, -1 for no part.

    Raises:
        DataError: an empty part, no region in tuning though `needs_regions`, or a class without training image in the
            single view.
    """
    for index, name in enumerate(PARTS):
        if not (part == index).any():
            raise DataError(
                f"the split of {collection.source} leaves {name} empty "
                f"({len(np.unique(collection.patients))} patients); use another --split, or more data"
                f"{left_out(collection)}"
            )
    if needs_regions and not (collection.truth[part == 1] == PRESENT).any():
        total = int((collection.truth == PRESENT).sum())
        remedy = "use another --split or --split-seed, or annotate more"
        if not total:
            remedy = "annotate more, or use a --metric that needs no region, such as auc"
        raise DataError(
            f"no class of {collection.source} has an annotated region in tuning ({total} in all parts), so nothing can "
            f"be ranked; {remedy}{unknown_regions(collection)}{left_out(collection)}"
        )
    if collection.view == "single":
        trained = (collection.labels[part == 0] == PRESENT).any(axis=0)
        exists = (collection.labels == PRESENT).any(axis=0)
        for name, in_train, anywhere in zip(collection.classes, trained, exists, strict=True):
            if not in_train:
                where = "train holds" if anywhere else f"{collection.source} holds"
                remedy = "use another --split or --split-seed" if anywhere else "choose another task"
                raise DataError(
                    f"{where} no image of class '{name}' to learn from; {remedy}, or get more data"
                    f"{left_out(collection)}"
                )


def warnings_of(collection: Collection, tuning: NDArray[np.int64], needs_regions: bool) -> list[str]:
    """One line each, with the remedy, on what the rows in `tuning` are too few of."""
    labels, truth, patients = collection.labels[tuning], collection.truth[tuning], collection.patients[tuning]
    images = (labels == PRESENT).sum(axis=0)
    warnings = []
    if few := [
        f"{name} {count}" for name, count in zip(collection.classes, images, strict=True) if count < _FEW_IMAGES
    ]:
        warnings.append(
            f"tuning has fewer than {_FEW_IMAGES} images of {', '.join(few)}: scores and ranks are uncertain; "
            "use more data, or --split fold:I/K"
        )
    if not needs_regions:
        return warnings
    few = []
    for label, name in enumerate(collection.classes):
        count = len(np.unique(patients[truth[:, label] == PRESENT]))
        if 0 < count < _FEW_PATIENTS:
            few.append(f"{name} {count}")
    if few:
        warnings.append(
            f"tuning has fewer than {_FEW_PATIENTS} patients with a region of {', '.join(few)}: their thresholds are "
            "uncertain; annotate more, or use --split fold:I/K"
        )
    annotated, anywhere = (truth == PRESENT).any(axis=0), (collection.truth == PRESENT).any(axis=0)
    shared = "shared thresholds are used, and these classes are left out of localization means"
    if names := [collection.classes[label] for label in np.flatnonzero(~annotated & anywhere)]:
        warnings.append(f"tuning has no annotated region of {', '.join(names)}: {shared}; use another --split-seed")
    if names := [collection.classes[label] for label in np.flatnonzero(~anywhere)]:
        warnings.append(
            f"the data has no annotated region of {', '.join(names)}: {shared}; annotate some if they matter"
        )
    return warnings


def unpublished_warnings(collection: Collection, published: Sequence[bool], how: str) -> list[str]:
    """A line where images are divided at random though the data come with parts of their own, with the flag that takes
    them: what others report is of these.

    Args:
        published: of each source, whether it has parts that can be taken.
    """
    if how != "random" or not any(published):
        return []
    flag, those = "official", collection.source
    if collection.sources:
        own = dict(zip(collection.sources, published, strict=True))
        those = " and ".join(name for name, has in own.items() if has)
        flag = ",".join(f"{name}={'official' if has else 'random'}" for name, has in own.items())
    return [f"{those} has a published split, and is divided at random here; --split {flag} takes the published one"]
