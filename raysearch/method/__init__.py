"""What a method is, and how one is found by name."""

from raysearch.method._base import Augmentation, Batch, Method, Prediction, Stage, Step, Task

__all__ = ["Augmentation", "Batch", "Method", "Prediction", "Stage", "Step", "Task"]
