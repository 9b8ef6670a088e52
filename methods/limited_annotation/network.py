"""The unary model and the CRF on top of it (figure 3)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from methods._patches import PatchNetwork
from methods.layers.mode import evaluating
from methods.limited_annotation.crf import PacCrf


class Network(nn.Module):
    """Images (N, C, H, W) in [0, 1] to patch values (N, K, P, P), by the unary model until the CRF has been trained.

    `own` (N, P, P) bool are the patches that hold some of the picture, None for all: no others send messages.
    `refines` is part of the checkpoint: 1 from the first step of the CRF's stage.
    """

    refines: Tensor

    def __init__(self, unary: PatchNetwork, crf: PacCrf | None) -> None:
        super().__init__()
        self.unary = unary
        self.crf = crf
        self.register_buffer("refines", torch.zeros((), dtype=torch.uint8))
        self._refines = False  # the same: to read it from the device would be to wait for it in every forward
        self.register_load_state_dict_post_hook(_loaded)  # type: ignore[no-untyped-call]

    def forward(self, images: Tensor, own: Tensor | None = None) -> Tensor:
        logits = self.unary(images)
        return self._refined(logits, images, own) if self._refines else logits.sigmoid()

    def train_crf(self, images: Tensor, own: Tensor | None = None) -> Tensor:
        """Patch values with a graph through the CRF alone; the unary model is frozen, its batch statistics too."""
        self.refines.fill_(1)
        self._refines = True
        with evaluating(self.unary):
            logits = self.unary(images)
        return self._refined(logits, images, own)

    def _refined(self, logits: Tensor, images: Tensor, own: Tensor | None) -> Tensor:
        assert self.crf is not None
        values: Tensor = self.crf(logits, self.unary.normalize(images), own)
        return values


def _loaded(network: nn.Module, _: Any) -> None:
    assert isinstance(network, Network)
    network._refines = bool(network.refines)
