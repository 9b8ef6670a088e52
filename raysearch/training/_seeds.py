"""Seeds every generator that a method may draw from."""

from __future__ import annotations

import random

import numpy as np
import torch

from raysearch._random import derive


def seed_all(*key: int) -> None:
    """Seeds Python, NumPy and torch (all devices). Called before a model is built and before each epoch, so that a
    resumed trial draws what an undisturbed one draws, and no generator state needs to be stored."""
    seed = derive(*key)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
