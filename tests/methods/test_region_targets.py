from __future__ import annotations

import pytest
import torch

from methods.layers.regions import masks_and_truth, region_targets
from raysearch.method import Batch


def test_region_targets_are_the_masks_of_present_pairs() -> None:
    truth = torch.tensor([[0, 1], [-1, 0], [1, 1]], dtype=torch.int8)
    masks = (torch.rand(3, 4, 4) < 0.5).float()
    targets = region_targets(masks, truth)
    assert torch.equal(targets[[0, 2, 2], [1, 0, 1]], masks)
    assert float(targets.sum()) == float(masks.sum())
    assert region_targets(masks[:0], truth[1:2]).shape == (1, 2, 4, 4)
    assert region_targets(masks[:0], truth[:0]).shape == (0, 2, 4, 4), "a stream that is empty on a worker"


def test_a_batch_without_masks_is_refused_by_the_methods_name() -> None:
    bare = Batch(images=torch.rand(2, 1, 4, 4), labels=torch.zeros(2, dtype=torch.int64), index=torch.arange(2))
    with pytest.raises(ValueError, match="a batch without masks: some_method learns from regions"):
        masks_and_truth(bare, "some_method")
