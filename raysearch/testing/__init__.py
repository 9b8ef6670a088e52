"""Test suites that ship with the package: what holds for our methods has to hold for a stranger's."""

from raysearch.testing._method_contract import MethodContract
from raysearch.testing._synthetic import synthetic_batch, synthetic_task

__all__ = ["MethodContract", "synthetic_batch", "synthetic_task"]
