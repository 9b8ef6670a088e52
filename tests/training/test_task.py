"""What a method is told of its data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from raysearch.training._task import training_task
from training.tiny import tiny_collection


def test_odds_of_a_class_are_those_of_the_labels_that_may_be_seen() -> None:
    labels = np.array([[1, 0, 1], [0, 0, 1], [0, -1, -1], [-1, 0, 1], [1, 1, 0]], np.int8)
    collection = replace(tiny_collection(5), labels=labels, view="multi")
    assert training_task(collection, np.arange(4)).positives == (0.5, 0.0, np.inf)
    assert training_task(collection, np.arange(5)).positives == (1.0, 1 / 3, 3.0)
    assert training_task(collection, np.array([2])).positives == (0.0, 1.0, 1.0), "no label is known of two of them"
