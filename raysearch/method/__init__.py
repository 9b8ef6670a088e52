"""What a method is, and how one is found by name.

The contract needs torch, the list of names does not: the command line's help must not pay for it, so the contract is
loaded at first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raysearch.method._loss_threshold import LossThreshold, PerClass, by_class
from raysearch.method._registry import load_method, method_names, titles

if TYPE_CHECKING:
    from raysearch.method._base import (
        Augmentation,
        Batch,
        Method,
        Prediction,
        Stage,
        Step,
        Task,
    )

__all__ = [
    "Augmentation",
    "Batch",
    "LossThreshold",
    "Method",
    "PerClass",
    "Prediction",
    "Stage",
    "Step",
    "Task",
    "by_class",
    "load_method",
    "method_names",
    "titles",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from raysearch.method import _base

    return getattr(_base, name)
