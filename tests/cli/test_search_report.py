"""What a search says at its end."""

from __future__ import annotations

from raysearch.cli._search import _values


def test_a_loss_threshold_is_one_number_where_classes_agree() -> None:
    assert _values({"normal": 0.83046, "abnormal": 0.83046, "lungs": 0.83046}) == "0.8305"
    assert _values({"normal": 0.83046, "abnormal": 0.83, "lungs": 0.5}) == "normal=0.8305 abnormal=0.8300 lungs=0.5000"
    assert _values({"nodule": 0.7}) == "0.7000"
