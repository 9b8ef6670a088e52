"""The regions of a batch, and maps of them to be learned."""

from __future__ import annotations

from torch import Tensor

from raysearch.method import Batch


def masks_and_truth(batch: Batch, name: str) -> tuple[Tensor, Tensor]:
    """Masks (M, H, W) and truth (N, K) of a batch, for the method `name`.

    Raises:
        ValueError: it has none: the engine gives them to methods that declare supervision by regions or pixels.
    """
    if batch.masks is None or batch.truth is None:
        raise ValueError(f"a batch without masks: {name} learns from regions and cannot be trained without them")
    return batch.masks, batch.truth


def region_targets(masks: Tensor, truth: Tensor) -> Tensor:
    """(N, K, H, W) of masks (M, H, W), those of the pairs of truth (N, K) that are 1, in their order; 0 elsewhere."""
    image, label = (truth == 1).nonzero().unbind(1)
    targets = masks.new_zeros(*truth.shape, *masks.shape[1:])
    return targets.index_put((image, label), masks)
