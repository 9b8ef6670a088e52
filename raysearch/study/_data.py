"""The data of a study: what a method can be searched on, how it is divided, and what training may see of it."""

from __future__ import annotations

from dataclasses import dataclass

from raysearch.data import (
    Annotation,
    AnySpec,
    Collection,
    JoinedSpec,
    Labelling,
    Split,
    choose_annotated,
    choose_labelled,
    make_split,
    open_collection,
    parse_data,
)
from raysearch.data._ranked import budget
from raysearch.errors import DataError, UserError, nearest
from raysearch.method import Method, Task
from raysearch.space import AnySpace, Choice


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What training may see of the training split: up to 1 a share of its images, above 1 a number of images.

    Attributes:
        labelled: of images that keep their labels; None hides nothing.
        annotated: of images that keep their regions; None hides nothing.
        unannotated: share of the other images that is trained on.
    """

    labelled: float | None
    annotated: float | None
    unannotated: float


@dataclass(frozen=True, kw_only=True)
class StudyData:
    """A collection, its split, and the training images as a method may see them."""

    collection: Collection
    split: Split
    annotation: Annotation
    labelling: Labelling

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out or is weak, one line each."""
        split = self.split
        return (*self.collection.notes, *split.notes, *split.warnings, *self.annotation.notes, *self.labelling.notes)


def data_spec(text: str, method: type[Method]) -> AnySpec:
    """What ``--data`` says, if the method can be trained on it.

    Raises:
        DataError: it cannot be read, or it has not the sources that the method needs.
    """
    spec = parse_data(text)
    names = spec.names if isinstance(spec, JoinedSpec) else ()
    if names == method.sources:
        return spec
    expected = ",".join(f"{name}=..." for name in method.sources) or "KIND:PATH[,option=value...]"
    for name in names:
        if method.sources and name not in method.sources:
            raise DataError(f"--data {text}: {method.name} has no source '{name}'; {nearest(name, method.sources)}")
    if missing := [name for name in method.sources if names and name not in names]:
        raise DataError(f"--data {text}: no source '{missing[0]}'; {method.name} needs --data {expected}")
    count = {0: "one source without a name", 1: "a source by name", 2: "two sources"}[len(method.sources)]
    raise DataError(f"--data {text}: {method.name} trains on {count}; expected --data {expected}")


def limits(
    method: type[Method],
    *,
    labelled: float | None,
    annotated: float | None,
    unannotated: float | None,
) -> Limits:
    """The limits, if they can be meant: labels are kept back only from methods that learn without them, regions only
    from those that train on them.

    Raises:
        UserError: the method has no use for one, or it is neither a share nor a whole number.
    """
    if labelled is not None and not method.unlabelled:
        raise UserError(
            f"--labelled {labelled:g}: {method.name} learns nothing from images without labels; leave it out"
        )
    for option, amount in (("--annotated", annotated), ("--unannotated", unannotated)):
        if amount is not None and method.supervision not in ("region", "pixel"):
            raise UserError(
                f"{option} {amount:g}: {method.name} trains on no regions (supervision {method.supervision}), so it"
                " changes nothing; leave it out"
            )
    for option, amount in (("--labelled", labelled), ("--annotated", annotated)):
        if amount is not None:
            budget(option, amount, 1)
    return Limits(
        labelled=labelled, annotated=annotated, unannotated=1.0 if unannotated is None else float(unannotated)
    )


def read_data(
    spec: AnySpec, method: type[Method], split: str, split_seed: int, limits: Limits, needs_regions: bool
) -> StudyData:
    """Opens, divides and limits the data.

    Raises:
        DataError: as `open_collection`, `make_split`, `choose_annotated` and `choose_labelled`.
        StorageError: as `open_collection`.
    """
    collection = open_collection(spec, method.view)
    parts = make_split(collection, split, split_seed, needs_regions=needs_regions, unlabelled=method.unlabelled)
    annotation = choose_annotated(collection, parts.train, limits.annotated, limits.unannotated, split_seed)
    labelling = choose_labelled(collection, annotation.train, limits.labelled, split_seed)
    return StudyData(collection=collection, split=parts, annotation=annotation, labelling=labelling)


def task_of(collection: Collection) -> Task:
    return Task(
        classes=collection.classes,
        view=collection.view,
        channels=collection.channels,
        size=collection.size,
        sources=collection.sources,
        source_classes=collection.source_classes,
    )


def boundless(method: type[Method], collection: Collection, annotation: Annotation) -> list[str]:
    """A line on regions that leave nothing outside, for a method that has a threshold on what is outside."""
    if not any(threshold.bounds == "outside" for threshold in method.loss_thresholds):
        return []
    rows = collection.mask_row[annotation.annotated]
    whole = [int(row) for row in rows[rows >= 0] if collection.masks[row].all()]
    if not whole:
        return []
    return [
        f"{len(whole)} of {int((rows >= 0).sum())} annotated regions cover the whole image: they say how much is"
        " inside, and nothing of what is outside"
    ]


def check_batch(space: AnySpace, images: int, collection: Collection) -> None:
    """Refuses a batch that may become larger than the number of training images, with a `DataError`."""
    parameter = space.parameters.get("batch")
    if parameter is None:
        return
    domain = parameter.domain
    values = [parameter.default]
    if isinstance(domain, Choice):
        values += domain.choices
    elif domain is not None:
        values.append(domain.high)
    largest = max((value for value in values if isinstance(value, int)), default=0)
    if largest > images:
        raise DataError(
            f"batch {largest} is larger than the {images} training images of {collection.source}: lower it"
            f" with --fix batch={max(1, images // 2)}, or use more images"
        )
