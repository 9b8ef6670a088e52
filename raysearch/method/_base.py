"""The contract between the engine and a localization method.

The engine owns data, devices, processes, checkpoints and thresholds; a method owns its network, its losses and what
its maps mean. `raysearch.testing` ships the test suite that every method, ours or a stranger's, has to pass.
"""

from __future__ import annotations

import abc
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from raysearch.method._batch import RegionBoxes
from raysearch.method._cells import covered_cells
from raysearch.method._loss_threshold import LossThreshold
from raysearch.method._stream import Pool
from raysearch.method._training import Training
from raysearch.method._upstream import Upstream
from raysearch.thresholds import BoxRule


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a method says of N images.

    Attributes:
        scores: (N, K) float32 in [0, 1], class probabilities (softmax in the single-label view, sigmoid in the other).
        maps: (N, M, H, W) float32 in [0, 1], localization maps at image resolution; M is 1 (one map for the image's
            object, whatever its class) or K. Decision thresholds act on these.
        grid: (N, K, P, Q) float32 in [0, 1], the map that the loss thresholds bound; only of methods that have some
            with ``bounds``.
    """

    scores: Tensor
    maps: Tensor
    grid: Tensor | None = None


class Method(Training):
    """A localization method, bound to a configuration and a task.

    Class attributes:
        name: the name on the command line, ``[a-z0-9_]+``.
        title: one line for ``raysearch methods``, with the source.
        Config: frozen keyword-only dataclass of its settings; a docstring line each; cross-field checks in
            ``__post_init__`` raise ``ValueError`` with what was found and what was expected. Its fields are exactly the
            parameters of kinds train, stage, loss and postprocess in its search space. Training reads none of the last
            kind, so that a trained network can be exported with others.
        view: ``single`` or ``multi``: the labels that it trains on (of the first source, where there are two).
        data: what it searches on unless ``--data`` says otherwise.
        sources: names of the sources that it needs, as in ``--data cls=...,seg=...``; empty for one alone. Their
            classes are joined, in this order; labels and regions are known of an image's own source alone.
        unlabelled: whether it learns from images without labels too; others take no ``--labelled``.
        metric: name of the metric that its trials are ranked by unless ``--metric`` says otherwise.
        reports: names of the other metrics of its paper: exports have them too, whatever evidence they need.
        decision_thresholds: names and defaults of its decision thresholds, acting on `Prediction.maps`.
        loss_thresholds: thresholds inside its loss, fields of `Config`. They may change between two epochs: the engine
            then makes the method anew with the changed `Config` and goes on with the same network and optimiser, so
            `build` and `stages` must not depend on them.
        initial_weights: fields of `Config` that say which weights `build` begins with. Where the network gets others
            after that, as in an export, these fields are ``random``, so that none are fetched to be overwritten.
        spaces: importable package that holds the search spaces, ``<name>.yaml`` (preset ``paper``) and
            ``<name>.small.yaml`` (preset ``small``).
    """

    name: ClassVar[str]
    title: ClassVar[str]
    Config: ClassVar[type[Any]]
    view: ClassVar[Literal["single", "multi"]]
    data: ClassVar[str] = "phantom"
    sources: ClassVar[tuple[str, ...]] = ()
    unlabelled: ClassVar[bool] = False
    metric: ClassVar[str] = "f1_plus"
    reports: ClassVar[tuple[str, ...]] = ()
    decision_thresholds: ClassVar[Mapping[str, float]] = {"mask_threshold": 0.5}
    loss_thresholds: ClassVar[tuple[LossThreshold, ...]] = ()
    initial_weights: ClassVar[tuple[str, ...]] = ("weights",)
    spaces: ClassVar[str] = "search_spaces"

    @classmethod
    def upstream(cls, config: Any) -> tuple[type[Upstream], ...]:
        """The work that a training with this `Config` builds on, each after its inputs; none by default."""
        del config
        return ()

    @classmethod
    def inputs(cls, config: Any) -> tuple[str, ...]:
        """Names of the upstream work whose outcomes a training with this `Config` reads itself: those in `outcomes`.
        All of it by default; what only later upstream work reads may be left out, and is not sent to the training."""
        return tuple(upstream.name for upstream in cls.upstream(config))

    def check(self, pool: Pool) -> Sequence[str]:
        """What has to be said of the training images before a study starts, a line each: where they are fewer than the
        `Config` asks for. Nothing by default.

        Raises:
            DataError: it cannot be trained on them as the `Config` says.
        """
        del pool
        return ()

    @property
    def box_rule(self) -> BoxRule | None:
        """Which boxes its masks make, for metrics of boxes and for ``predict``: of the ``largest`` component, of the
        ``most_active`` one, or of each (``union``). None: metrics take the largest, and ``predict`` draws all."""
        return None

    @abc.abstractmethod
    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        """Of (N, C, H, W) float32 images in [0, 1], in evaluation mode. An image's answer depends on no other image.

        Args:
            inside: (N, H, W) bool on the images' device, a rectangle each: the pixels of the picture itself, without
                the padding around it; None where every pixel is the picture's own. What scales or ranks a map by its
                own values takes no others. Maps hold any value of [0, 1] in the padding: the engine cuts them to the
                picture. A method that leaves this parameter out trains on images without padding alone.
        """

    def scored_regions(self, masks: Tensor, boxes: RegionBoxes | None = None) -> Tensor:
        """(M, H, W) region masks in {0, 1} as metrics compare the maps with them; here the regions as they are, and
        then boxes are compared with `boxes` themselves.

        Args:
            boxes: outlines of the regions that are boxes.
        """
        del boxes
        return masks

    def region_cells(self, masks: Tensor, cells: tuple[int, int], boxes: RegionBoxes | None = None) -> Tensor:
        """(M, P, Q) bool of (M, H, W) masks: the cells of `Prediction.grid` that a region covers. Here every cell of
        which it covers some area: cell (r, c) spans rows [r H / P, (r + 1) H / P), and columns likewise.

        Args:
            boxes: outlines of the regions that are boxes, which count instead of their masks.
        """
        return covered_cells(masks, cells, "any", boxes)


def takes_inside(method: type[Method]) -> bool:
    """Whether `Method.predict` knows of padding."""
    parameters = inspect.signature(method.predict).parameters.values()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) > 3 or any(p.kind == p.VAR_POSITIONAL for p in parameters)


def predicted(method: Method, model: nn.Module, images: Tensor, inside: Tensor | None) -> Prediction:
    """`Method.predict`, which is told of padding only where there is some.

    Args:
        inside: on any device.
    """
    return method.predict(model, images) if inside is None else method.predict(model, images, inside.to(images.device))
