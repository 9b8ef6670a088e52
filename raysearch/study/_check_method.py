"""What can be found wrong with a method before a study starts: its networks, its views of the images, its checks."""

from __future__ import annotations

from collections.abc import Iterable

from raysearch.data._augment import check_augmentation
from raysearch.errors import MethodError
from raysearch.method import Method, Pool, takes_inside, upstream_plan


def check_method(
    method: Method,
    variants: Iterable[Method],
    pool: Pool,
    size: tuple[int, int],
    epochs: int,
    seed: int,
    *,
    padded: bool,
) -> tuple[str, ...]:
    """Notes on a method with its default settings.

    Args:
        variants: with other files of weights; only their networks are looked at.
        pool: the training images.
        size: theirs, (height, width).
        epochs: of a trial.
        seed: of the study.
        padded: whether there is padding around some of the study's images.

    Raises:
        DataError: it cannot train on these images.
        MethodError: it knows nothing of padding, and there is some; its networks cannot be built, or its upstream work
            depends on what is not there.
    """
    if padded and not takes_inside(type(method)):
        raise MethodError(
            f"{type(method).__name__}.predict takes no 'inside', and there is padding around some of these images: give"
            " it the parameter (which of their pixels are the picture's own), or read the data with fit=crop or"
            " fit=stretch"
        )
    upstream_plan(type(method), method.config, seed)
    notes = tuple(method.check(pool))
    for each in (method, *variants):
        _check_networks(each)
    _check_augmentations(method, size, epochs)
    return notes


def _check_networks(method: Method) -> None:
    """Builds the networks of a method and of its upstream work: an unknown backbone or a weights file that is none is
    found here."""
    method.build()
    for kind in type(method).upstream(method.config):
        try:
            kind(method.config, method.task).build()
        except KeyError as error:
            if not any(name in error.args for name in kind.inputs):
                raise
            # it begins with an outcome, of which there are none yet


def _check_augmentations(method: Method, size: tuple[int, int], epochs: int) -> None:
    """Refuses a padding, a crop or a turn that no image of this size can go through."""
    upstream = (kind(method.config, method.task) for kind in type(method).upstream(method.config))
    for training, length in ((method, epochs), *((work, work.epochs) for work in upstream)):
        masks = training.supervision in ("pixel", "region")
        for stage in training.stages(length):
            for stream in stage.streams:
                check_augmentation(stream.augmentation, *size, masks=masks)
                if stream.strong is not None:
                    check_augmentation(stream.strong, *size, masks=False)
            if not stage.streams:
                check_augmentation(training.augmentation(), *size, masks=masks)
