"""The files of an export, read back. Nothing in them depends on where the folder lies."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from raysearch.data import PARTS, UNUSED, parse_data
from raysearch.data._fit import FitMode
from raysearch.errors import ExportError
from raysearch.method import Method, Task, load_method
from raysearch.thresholds import level, threshold
from raysearch.training._score import given_thresholds

CONFIG, THRESHOLDS, WEIGHTS, RESULTS, SPLIT = (
    "config.yaml",
    "thresholds.json",
    "weights.safetensors",
    "results.json",
    "split.csv",
)
"""What `load_bundle` needs; the other files of the folder are for people."""


@dataclass(frozen=True)
class Bundle:
    """An export folder, its network built and its weights loaded."""

    path: Path
    config: dict[str, Any]
    method: Method
    model: nn.Module
    results: dict[str, Any]
    decision: dict[str, float]
    """``mask_threshold``, or ``mask_threshold.<class>``."""
    split: dict[str, tuple[str, ...]]
    """Names of the images of each part."""

    @property
    def levels(self) -> dict[str, int]:
        """Level 0..256 by class of the rule ``quantise(map) >= level``."""
        return levels_by_class(self.decision, self.method.task.classes)

    @property
    def fit(self) -> FitMode:
        """How the pictures that it was made with became square."""
        return parse_data(str(self.config["data"]["source"])).fit

    def rows(self, image_ids: tuple[str, ...], part: str) -> NDArray[np.int64]:
        """Rows of a part of the split in a collection, found by the images' names.

        Raises:
            ExportError: the collection lacks some of them.
        """
        row_of = {name: row for row, name in enumerate(image_ids)}
        names = self.split[part]
        missing = [name for name in names if name not in row_of]
        if missing:
            raise ExportError(
                f"{len(missing)} images of the {part} split are not in the data, first '{missing[0]}': give the data"
                " that the model was made with, with --data"
            )
        return np.asarray([row_of[name] for name in names], np.int64)


def load_bundle(path: Path, device: torch.device | str = "cpu") -> Bundle:
    """Reads an export folder.

    Raises:
        ExportError: it is none, or a file is missing, damaged or does not fit the others.
    """
    for name in (CONFIG, THRESHOLDS, WEIGHTS, RESULTS, SPLIT):
        if not (path / name).is_file():
            raise ExportError(
                f"{path} is not an export of raysearch: {name} is missing; 'raysearch export --out DIR' writes one"
            )
    try:
        config: dict[str, Any] = yaml.safe_load((path / CONFIG).read_text("utf-8"))
        decision = {name: float(entry["value"]) for name, entry in _json(path / THRESHOLDS).items()}
        results = _json(path / RESULTS)
        results["metrics"] = {name: float(value) for name, value in results["metrics"].items()}
        split = read_split(path / SPLIT)
        data = config["data"]
        data["source"], data["fingerprint"] = str(data["source"]), str(data["fingerprint"])
        cls = load_method(config["method"])
        task = Task(
            classes=tuple(data["classes"]),
            view=data["view"],
            channels=int(data["channels"]),
            size=(int(data["size"][0]), int(data["size"][1])),
            sources=tuple(data["sources"]),
            source_classes=tuple(data["source_classes"]),
        )
        if task.channels not in (1, 3) or not 0 < task.size[0] == task.size[1]:
            raise ValueError(f"images of {task.channels} channels and {data['size']} pixels in {CONFIG}")
        method = cls(cls.Config(**own_weights(cls, config["settings"])), task)
        levels_by_class(decision, task.classes)
    except (yaml.YAMLError, OSError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        raise ExportError(f"{path} is damaged ({reason}); export the study again") from None
    model = method.build()
    try:
        state = load((path / WEIGHTS).read_bytes())  # its own reader wants names in UTF-8
        if not all(torch.isfinite(values).all() for values in state.values()):
            raise ValueError("there are numbers that are not finite among them")
        model.load_state_dict(state)
    except (SafetensorError, RuntimeError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ExportError(f"{path / WEIGHTS} does not fit the model ({reason}); export the study again") from None
    return Bundle(path, config, method, model.to(device).eval(), results, decision, split)


def own_weights(method: type[Method], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings to build a network that is to be filled with weights of its own: none are fetched to be overwritten."""
    return {name: "random" if name in method.initial_weights else value for name, value in settings.items()}


def levels_by_class(decision: Mapping[str, float], classes: tuple[str, ...]) -> dict[str, int]:
    """Level of each class from decision thresholds, shared or per class.

    >>> levels_by_class({"mask_threshold": 0.5}, ("a", "b"))
    {'a': 128, 'b': 128}
    """
    given = given_thresholds(decision, classes)
    return {name: level(given[name] if isinstance(given, dict) else given) for name in classes}


def at_level(value: float) -> float:
    """The threshold in [0, 256/255] that a number stands for once maps are quantised."""
    return threshold(level(value))


def read_split(path: Path) -> dict[str, tuple[str, ...]]:
    """Names of the images of each part, from split.csv; ValueError if it is none."""
    with open(path, newline="", encoding="utf-8") as file:
        lines = [(line["image"], line["split"]) for line in csv.DictReader(file)]
    parts = {part: tuple(image for image, name in lines if name == part) for part in (*PARTS, UNUSED)}
    if sum(map(len, parts.values())) != len(lines) or not parts["test"]:
        raise ValueError(f"{path.name} is not of images in {', '.join(PARTS)}")
    return parts


def _json(path: Path) -> dict[str, Any]:
    try:
        loaded = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path.name} is not JSON, {error}") from None
    if not isinstance(loaded, dict):
        raise ValueError(f"{path.name} holds no object")
    return loaded
