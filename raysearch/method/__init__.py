"""What a method is, and how one is found by name.

The contract needs torch, the list of names does not: the command line's help must not pay for it, so the contract is
loaded at first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from raysearch.method._loss_threshold import LossThreshold, PerClass, by_class
from raysearch.method._name_or_path import NameOrPath
from raysearch.method._registry import load_method, method_names, titles

if TYPE_CHECKING:
    from raysearch.method._augmentation import Augmentation
    from raysearch.method._base import Method, Prediction, predicted, takes_inside
    from raysearch.method._batch import Batch, RegionBoxes, Task
    from raysearch.method._cells import cells_of_boxes, covered_cells
    from raysearch.method._stream import Pool, PseudoRegions, Stream, shuffled
    from raysearch.method._training import Outcome, Stage, Step, Training
    from raysearch.method._upstream import TrainingImages, Upstream, Work, upstream_plan

_MODULES = {
    "Augmentation": "_augmentation",
    "Batch": "_batch",
    "Method": "_base",
    "Outcome": "_training",
    "Pool": "_stream",
    "Prediction": "_base",
    "predicted": "_base",
    "takes_inside": "_base",
    "PseudoRegions": "_stream",
    "RegionBoxes": "_batch",
    "Stage": "_training",
    "Step": "_training",
    "Stream": "_stream",
    "Task": "_batch",
    "Training": "_training",
    "TrainingImages": "_upstream",
    "Upstream": "_upstream",
    "Work": "_upstream",
    "cells_of_boxes": "_cells",
    "covered_cells": "_cells",
    "shuffled": "_stream",
    "upstream_plan": "_upstream",
}

__all__ = [
    "Augmentation",
    "Batch",
    "LossThreshold",
    "Method",
    "NameOrPath",
    "Outcome",
    "PerClass",
    "Pool",
    "Prediction",
    "PseudoRegions",
    "RegionBoxes",
    "Stage",
    "Step",
    "Stream",
    "Task",
    "Training",
    "TrainingImages",
    "Upstream",
    "Work",
    "by_class",
    "cells_of_boxes",
    "covered_cells",
    "load_method",
    "method_names",
    "predicted",
    "shuffled",
    "takes_inside",
    "titles",
    "upstream_plan",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"raysearch.method.{_MODULES[name]}"), name)
