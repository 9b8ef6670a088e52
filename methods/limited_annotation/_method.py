"""Binds network, losses and stages to the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

from torch import Tensor, nn

from methods._optim import adam_stage
from methods._patches import AnnotatedPairs, PatchMethod
from methods._stages import expect_epochs
from methods.layers.grid import to_pixels
from methods.layers.inside import own_cells, without_padding
from methods.layers.mode import evaluating
from methods.limited_annotation import losses
from methods.limited_annotation._config import LimitedAnnotationConfig
from methods.limited_annotation.crf import PacCrf
from methods.limited_annotation.network import Network
from raysearch.method import Batch, LossThreshold, PerClass, Prediction, Stage, Step, by_class


class LimitedAnnotation(PatchMethod):
    """A region has to be found for the most part and little beside it; an image label says how much at least or most.

    An image's score is its largest patch value: a class is seen where any patch is positive, at every threshold, and
    400 patches of background do not add up to certainty, as they do in ``1 - prod(1 - z)``.
    """

    name: ClassVar[str] = "limited_annotation"
    title: ClassVar[str] = (
        "Localization with limited annotation, thresholds in the loss and a PAC-CRF (Rozenberg et al., 2019)"
    )
    Config = LimitedAnnotationConfig
    loss_thresholds: ClassVar[tuple[LossThreshold, ...]] = (
        LossThreshold(name="tau", bounds="inside"),
        LossThreshold(name="rho", bounds="outside"),
        LossThreshold(name="tau_hat", bounds="present"),
        LossThreshold(name="rho_hat", bounds="absent", below="tau_hat"),
    )
    config: LimitedAnnotationConfig

    def build(self) -> nn.Module:
        c = self.config
        unary = self.patch_network(blur=c.blur)
        if c.crf == "none":
            return Network(unary, None)
        crf = PacCrf(
            self.task.channels,
            len(self.task.classes),
            patches=c.patches,
            window=c.crf_window,
            steps=c.crf_steps,
            reading=c.crf,
            hidden=c.crf_hidden,
            strength=c.crf_strength,
        )
        return Network(unary, crf)

    def stages(self, epochs: int) -> Sequence[Stage]:
        c = self.config
        if c.crf == "none":
            return (adam_stage(c, "unary", epochs, _unary_of),)
        expect_epochs(epochs, ("unary", "crf"), "crf=none")
        refining = min(max(1, round(c.crf_share * epochs)), epochs - 1)
        return (
            adam_stage(c, "unary", epochs - refining, _unary_of),
            adam_stage(c, "crf", refining, lambda model: model.get_submodule("crf"), lr=c.crf_lr),
        )

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        network = cast(Network, model)
        regions = self.regions(batch)
        z = network.train_crf(batch.images, regions.own) if step.stage == "crf" else network(batch.images)
        loss, annotated, unannotated = self.loss(z, regions, batch.labels)
        step.backward(loss)
        empty = (~regions.cells.flatten(1).any(1)).sum()
        return {
            "loss": loss.detach(),
            "loss_annotated": annotated.detach(),
            "loss_unannotated": unannotated.detach(),
            "empty_regions": empty.to(loss.dtype) / len(batch.images),
        }

    def loss(self, z: Tensor, regions: AnnotatedPairs, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Eq. 12 (or eq. 5 and 8) of patch values z (N, K, P, P) and labels (N, K), and its two parts."""
        c = self.config
        z = without_padding(z, regions.own)
        patches: float | Tensor = z.shape[2] * z.shape[3]
        of_pairs = None
        if regions.own is not None:
            patches = regions.own.sum((1, 2)).to(z.dtype)[:, None]
            of_pairs = patches[regions.image, 0]
        tau, rho, tau_hat, rho_hat = (self._thresholds(z, v) for v in (c.tau, c.rho, c.tau_hat, c.rho_hat))
        inside = (regions.of(z), regions.cells, tau[regions.label], rho[regions.label], of_pairs)
        counts = (z, labels, tau_hat * patches, rho_hat * patches)
        if c.relaxation == "sigmoid":
            annotated = losses.annotated_loss_sigmoid(*inside)
            unannotated = losses.unannotated_loss_sigmoid(*counts)
        else:
            annotated = losses.annotated_loss(*inside)
            unannotated = losses.unannotated_loss(*counts, self._gamma(z))
        return regions.total(annotated, unannotated, c.lambda_ann)

    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        own = own_cells(inside, (self.config.patches, self.config.patches))
        with evaluating(model):
            # log Q of the softmax reading may leave [0, 1]
            grid = without_padding(cast(Network, model)(images, own).clamp(0.0, 1.0), own)
        height, width = images.shape[-2:]
        return Prediction(scores=grid.amax((2, 3)), maps=to_pixels(grid, (height, width)), grid=grid)

    def _thresholds(self, z: Tensor, value: PerClass) -> Tensor:
        return z.new_tensor(by_class(value, self.task.classes))

    def _gamma(self, z: Tensor) -> Tensor:
        """(K,)"""
        classes = len(self.task.classes)
        if self.config.gamma != "data":
            return z.new_full((classes,), self.config.gamma)
        # without absent labels the ratio is infinite, and weighs nothing: any number will do
        return z.new_tensor(self.task.positives or (1.0,) * classes).nan_to_num(posinf=1.0)


def _unary_of(model: nn.Module) -> nn.Module:
    return model.get_submodule("unary")
