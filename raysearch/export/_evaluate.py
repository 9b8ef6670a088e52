"""Scores an exported model on data of another domain, with its own weights and thresholds: nothing is chosen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from raysearch.data import (
    REGIONS,
    UNKNOWN,
    AnySpec,
    Collection,
    DataSpec,
    JoinedSpec,
    get_kind,
    open_collection,
    parse_data,
)
from raysearch.errors import ExportError
from raysearch.export._bundle import Bundle, load_bundle
from raysearch.export._reference import Reference, reference_values
from raysearch.export._score import score_rows
from raysearch.method import Task

Part = Literal["all", "train", "valid", "test"]


def evaluate_bundle(
    bundle: Bundle, data: str, *, part: Part = "all", reference: Path | None = None, baseline: Path | None = None
) -> dict[str, Any]:
    """Metrics of all images of other data of which a label or a region is known.

    Args:
        data: as ``--data``; of a model of several sources, any of them.
        part: ``all``, or the images of one published part.
        reference: CSV file of another reader's values of the model's metric by class, to stand beside the model's.
        baseline: another export, scored on the same images, of whose gap to the reference the model closes a part.

    Returns:
        ``data``, ``fingerprint``, ``part``, ``images``, and the ``metrics``, ``intervals``, ``by_class``,
        ``per_image``, ``roc`` and ``skipped`` of an export; ``seen``, the images that have the name of one that the
        model, or the baseline, was trained or tuned on; ``reference`` where one is given.

    Raises:
        DataError: the data cannot be read.
        ExportError: it is the model's own, or the baseline's, or has other classes, sizes, channels, sources or another
            fit; it publishes no such part, or nothing is known of it; a reference or baseline that does not fit.
    """
    metric = str(bundle.config["metric"])
    values = reference_values(reference, baseline, bundle.method.task.classes, metric)
    other = None if baseline is None else load_bundle(baseline)
    models = [bundle] if other is None else [bundle, other]
    spec = parse_data(data)
    for model in models:
        _check_sources(spec, model)
        _check_fit(spec, model)
    collection = open_collection(spec, bundle.method.view)
    for model in models:
        _refuse_own(collection, model)
    rows = _rows(collection, part)
    scores = _scored(bundle, collection, rows, metric)
    if values is not None:
        others = None if other is None else _scored(other, collection, rows, metric)["by_class"].get(metric, {})
        scores["reference"] = Reference(metric, values, others).beside(scores["by_class"].get(metric, {}))
    seen = max(_seen(collection, rows, model) for model in models)
    return {"data": collection.source, "fingerprint": collection.fingerprint, "part": part, "seen": seen, **scores}


def _scored(bundle: Bundle, collection: Collection, rows: NDArray[np.int64], metric: str) -> dict[str, Any]:
    fitted = fit_to(collection, bundle.method.task, str(bundle.path))
    return score_rows(bundle.method, bundle.model, fitted, rows, bundle.levels, metric)


def fit_to(collection: Collection, task: Task, model: str) -> Collection:
    """The collection with the classes of a task in its order; nothing is known of those of sources that it lacks.

    Args:
        model: named in errors.

    Raises:
        ExportError: other classes, size or channels.
    """
    wanted = _classes(task.classes, task.sources, task.source_classes, collection.sources)
    found = _classes(collection.classes, collection.sources, collection.source_classes, collection.sources)
    if set(wanted) != set(found):
        raise ExportError(
            f"{collection.source} has the classes {_names(found)}, {model} knows {_names(wanted)}: give data with"
            " the same ones, such as another task="
        )
    if collection.size != task.size:
        raise ExportError(
            f"{collection.source} has images of {collection.size[0]} pixels, {model} takes {task.size[0]}: add"
            f" size={task.size[0]} to --data"
        )
    if collection.channels != task.channels:
        raise ExportError(
            f"{collection.source} has images of {collection.channels} channels, {model} takes {task.channels}: give"
            " another source"
        )
    labels, truth = (np.full((len(collection), len(task.classes)), UNKNOWN, np.int8) for _ in range(2))
    mask_row = np.full(truth.shape, -1, np.int32)
    for name, column in wanted.items():
        own = found[name]
        labels[:, column], truth[:, column] = collection.labels[:, own], collection.truth[:, own]
        mask_row[:, column] = collection.mask_row[:, own]
    alone: dict[str, Any] = {"sources": (), "source_classes": (), "source_images": (), "parts": ()}
    return replace(collection, classes=task.classes, labels=labels, truth=truth, mask_row=mask_row, **alone)


def _classes(
    classes: Sequence[str], sources: Sequence[str], source_classes: Sequence[int], wanted: Sequence[str]
) -> dict[tuple[str, str], int]:
    """Column of each class of the sources `wanted` by (source, own name)."""
    owners = [sources[index] for index in source_classes] or [""] * len(classes)
    return {
        (owner, name.removeprefix(f"{owner}/")): column
        for column, (owner, name) in enumerate(zip(owners, classes, strict=True))
        if owner in wanted or not sources
    }


def _names(classes: Iterable[tuple[str, str]]) -> str:
    return ", ".join(name for _, name in classes)


def _check_sources(spec: AnySpec, bundle: Bundle) -> None:
    sources = bundle.method.task.sources
    if sources and isinstance(spec, DataSpec):
        raise ExportError(_which_source(spec, bundle))
    if isinstance(spec, JoinedSpec) and not set(spec.names) <= set(sources):
        raise ExportError(f"--data {spec}: {bundle.path} was made from one source; give one, without its name")


def _check_fit(spec: AnySpec, bundle: Bundle) -> None:
    """ExportError if pictures become square in another way than those that the model was made with."""
    made = parse_data(str(bundle.config["data"]["source"]))
    if spec.needs_path and made.needs_path and spec.fit != made.fit:
        raise ExportError(
            f"--data {spec} is read with fit={spec.fit}, {bundle.path} was made with fit={made.fit}: add fit={made.fit}"
            " to --data"
        )


def _which_source(spec: DataSpec, bundle: Bundle) -> str:
    """What to say of data without a source's name: the source whose classes it has; raises as `Kind.read`."""
    task = bundle.method.task
    wanted, found = {}, {}
    for name in task.sources:
        wanted[name] = [own for _, own in _classes(task.classes, task.sources, task.source_classes, [name])]
        found[name] = get_kind(spec.kind).read(spec, "multi" if name == REGIONS else task.view).classes
    told = " and ".join(f"{name} ({', '.join(classes)})" for name, classes in wanted.items())
    made = f"{bundle.path} was made from several sources, {told}"
    fits = [name for name in task.sources if set(found[name]) == set(wanted[name])]
    if fits:
        return f"--data {spec}: {made}; say which one this is, as in {fits[0]}={spec}"
    own = " or ".join(dict.fromkeys(", ".join(classes) for classes in found.values()))
    return f"--data {spec} has the classes {own}; {made}: give data with those of one of them, such as another task="


def _refuse_own(collection: Collection, bundle: Bundle) -> None:
    """What the model was trained on says nothing of another domain."""
    own = {bundle.config["data"]["fingerprint"], *bundle.config["data"]["source_fingerprints"]}
    for each in (collection, *collection.parts):
        if each.fingerprint in own:
            raise ExportError(
                f"{each.source} is data that {bundle.path} was trained on: 'raysearch verify {bundle.path}' scores its"
                " test split; give other data with --data"
            )


def _seen(collection: Collection, rows: NDArray[np.int64], bundle: Bundle) -> int:
    """How many of `rows` have the name of an image that the model was trained or tuned on: more images of the same
    folder are other data, and names alone do not tell whether an image is the same."""
    known = {*bundle.split["train"], *bundle.split["tuning"]}
    return sum(collection.image_ids[row] in known for row in rows)


def _rows(collection: Collection, part: Part) -> NDArray[np.int64]:
    known = (collection.labels != UNKNOWN).any(axis=1) | (collection.truth != UNKNOWN).any(axis=1)
    if not known.any():
        raise ExportError(
            f"{collection.source}: no label and no region is known of its images, so nothing can be scored"
        )
    if part != "all":
        known &= collection.official == part
        if not known.any():
            published = sorted(set(collection.official.tolist()) - {""})
            raise ExportError(
                f"--part {part}: {collection.source} has no image to score in a published part of that name; it"
                f" publishes {', '.join(published) or 'none'}"
            )
    return np.flatnonzero(known)
