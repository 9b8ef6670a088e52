"""Sources by name as one collection: the images one after the other, the classes side by side."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from raysearch.data._collection import PRESENT, UNKNOWN, Collection, View
from raysearch.data._npy import read_npy
from raysearch.data._spec import LABELS, REGIONS, DataSpec, JoinedSpec
from raysearch.data._thumbnails import same_pictures
from raysearch.data._twins import Twins
from raysearch.errors import DataError


class StackedArray:
    """Arrays (R_i, ...) read as one (sum of R_i, ...) without copying them: rows lie in the order of the arrays.

    It is indexed as numpy would index their concatenation, but for tuples with several arrays, which it refuses.
    """

    def __init__(self, arrays: Sequence[NDArray[Any]]) -> None:
        self._arrays = arrays
        self._starts = np.cumsum([0, *map(len, arrays)])
        self._numbers = np.arange(self._starts[-1])
        self.shape = (len(self._numbers), *arrays[0].shape[1:])
        self.dtype = arrays[0].dtype
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, key: Any) -> Any:
        first, *rest = key if isinstance(key, tuple) and key else (key,)
        if rest and (first is None or first is Ellipsis):
            return self[:][key]
        if any(np.ndim(k) > 0 for k in rest):
            raise IndexError(f"index {key}: expected no array behind the first place")
        rows = self._numbers[first]  # numpy's own reading of slices, masks and negative numbers
        if np.ndim(rows) == 0:
            source = self._source(rows)
            return self._arrays[source][(rows - self._starts[source], *rest)]
        source = self._source(rows)
        out = np.empty((*rows.shape, *self.shape[1:]), self.dtype)
        for index, array in enumerate(self._arrays):
            mine = source == index
            out[mine] = array[rows[mine] - self._starts[index]]
        return out[(*[slice(None)] * rows.ndim, *rest)]

    def __array__(self, *args: Any, **kwargs: Any) -> NDArray[Any]:
        return np.asarray(self[:], *args, **kwargs)

    def _source(self, rows: Any) -> Any:
        return np.searchsorted(self._starts, rows, side="right") - 1


def join(spec: JoinedSpec, parts: Mapping[str, Collection], view: View) -> Collection:
    """The sources of `spec` as one collection.

    Of ``cls`` the image labels are known and no region truth, of ``seg`` the region truth and no label. What a source
    does not know is UNKNOWN. Images and patients are called ``cls/NAME`` and so on; where two sources are of the same
    kind and folder, patients of the same name are the same, and wherever they lie, patients who share a picture are. A
    class that both sources have is called ``cls/NAME`` and ``seg/NAME``.

    Args:
        parts: the collections of the sources by name.
        view: of the labels.

    Raises:
        DataError: one source is gray and the other is not, or an image of both has another patient in each.
    """
    names = spec.names
    own = tuple(replace(parts[name], source=f"{name}={parts[name].source}") for name in names)
    if len({part.channels for part in own}) > 1:
        found = " and ".join(f"{part.source} has {part.channels}" for part in own)
        raise DataError(f"{found} channels; expected both gray (1) or both RGB (3): choose another source for one")
    offsets = np.cumsum([0, *(len(part.classes) for part in own)])
    labels, truth, mask_row = (
        np.full((sum(map(len, own)), offsets[-1]), fill, dtype)
        for fill, dtype in ((UNKNOWN, np.int8), (UNKNOWN, np.int8), (-1, np.int32))
    )
    twins = _twins(_patients(spec, own), own)
    rows = np.cumsum([0, *map(len, own)])
    for index, (name, part) in enumerate(zip(names, own, strict=True)):
        block = slice(rows[index], rows[index + 1]), slice(offsets[index], offsets[index + 1])
        if name == LABELS:
            labels[block] = part.labels
        if name == REGIONS:
            truth[block], mask_row[block] = part.truth, part.mask_row
    masks = parts[REGIONS].masks if REGIONS in parts else np.empty((0, *own[0].size), np.uint8)
    return Collection(
        source=str(spec),
        view=view,
        classes=_classes(names, own),
        image_ids=tuple(f"{name}/{image}" for name, part in zip(names, own, strict=True) for image in part.image_ids),
        patients=twins.patients,
        images=own[0].images if len(own) == 1 else cast(NDArray[np.uint8], StackedArray([p.images for p in own])),
        labels=labels,
        truth=truth,
        mask_row=mask_row,
        masks=masks,
        official=np.concatenate([part.official for part in own]),
        fingerprint=_fingerprint(names, own),
        folder="",
        areas=_areas(own),
        boxes=parts[REGIONS].boxes if REGIONS in parts else np.empty((0, 4)),
        box_mask=parts[REGIONS].box_mask if REGIONS in parts else np.empty(0, np.int32),
        notes=tuple(note for name, part in zip(names, own, strict=True) for note in _notes(name, part)),
        twins=twins,
        sources=names,
        source_classes=tuple(index for index, part in enumerate(own) for _ in part.classes),
        source_images=tuple(map(len, own)),
        parts=own,
    )


def _areas(parts: Sequence[Collection]) -> NDArray[np.int32] | None:
    if all(part.areas is None for part in parts):
        return None
    whole = [np.tile(np.array([0, 0, *part.size[::-1]], np.int32), (len(part), 1)) for part in parts]
    return np.concatenate([all_of if p.areas is None else p.areas for p, all_of in zip(parts, whole, strict=True)])


def _classes(names: Sequence[str], parts: Sequence[Collection]) -> tuple[str, ...]:
    count = Counter(label for part in parts for label in part.classes)
    return tuple(
        label if count[label] == 1 else f"{name}/{label}"
        for name, part in zip(names, parts, strict=True)
        for label in part.classes
    )


def _patients(spec: JoinedSpec, parts: Sequence[Collection]) -> NDArray[np.str_]:
    """Names of the patients, under the name of the first source that lies in the same place.

    Raises:
        DataError: an image that two sources share has another patient in each.
    """
    owners = [next(name for name, other in spec.sources if _same_place(source, other)) for _, source in spec.sources]
    found = [
        np.char.add(f"{owner}/", part.named_patients.astype(str)) for owner, part in zip(owners, parts, strict=True)
    ]
    of_image: dict[tuple[str, str], str] = {}
    for owner, part, patients in zip(owners, parts, found, strict=True):
        for image, patient in zip(part.image_ids, patients.tolist(), strict=True):
            if of_image.setdefault((owner, image), patient) != patient:
                raise DataError(
                    f"data {spec}: image '{image}' has another patient in each source; give both the same options that"
                    " say who a patient is"
                )
    return np.concatenate(found)


def _twins(named: NDArray[np.str_], parts: Sequence[Collection]) -> Twins:
    """Who is one over all sources; nobody where the images of one have not been compared."""
    folders = [Path(part.folder) for part in parts if part.folder]
    if len(folders) < len(parts):
        return Twins(named=named, picture=np.full(len(named), -1, np.int32))
    return Twins(named=named, picture=_pictures(folders))


def _pictures(folders: Sequence[Path]) -> NDArray[np.int32]:
    """`same_pictures` of cached collections together, kept beside them: every worker asks for it."""
    key = hashlib.sha256(json.dumps([folder.name for folder in folders]).encode()).hexdigest()[:20]
    path = folders[0].parent / f"pictures-{key}.npy"
    if path.is_file():
        return read_npy(path)
    picture = same_pictures(np.concatenate([read_npy(folder / "thumbnails.npy", mapped=True) for folder in folders]))
    with suppress(OSError):  # where it cannot be kept it is found again
        part = path.with_name(f".{path.name}-{os.getpid()}")
        with part.open("wb") as file:
            np.save(file, picture, allow_pickle=False)
        part.replace(path)
    return picture


def _same_place(one: DataSpec, other: DataSpec) -> bool:
    """Whether two sources are of the same kind and release: a release is named by its own folder or by its parent."""
    if one.kind != other.kind or one.path is None or other.path is None:
        return (one.kind, one.path) == (other.kind, other.path)
    paths = [Path(path).resolve() for path in (one.path, other.path)]
    return paths[0].is_relative_to(paths[1]) or paths[1].is_relative_to(paths[0])


def _fingerprint(names: Sequence[str], parts: Sequence[Collection]) -> str:
    text = json.dumps([[name, part.fingerprint] for name, part in zip(names, parts, strict=True)])
    return hashlib.sha256(text.encode()).hexdigest()


def _notes(name: str, part: Collection) -> list[str]:
    notes = [f"{name}: {note}" for note in part.notes]
    if name == LABELS and (count := int((part.truth == PRESENT).any(axis=1).sum())):
        notes.append(f"{name}: the regions of {count} images are not used")
    return notes
