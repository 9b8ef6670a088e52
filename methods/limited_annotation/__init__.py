"""Localization with limited annotation: few regions, many image labels, thresholds inside the loss."""

from methods.limited_annotation._config import LimitedAnnotationConfig
from methods.limited_annotation._method import LimitedAnnotation

__all__ = ["LimitedAnnotation", "LimitedAnnotationConfig"]
