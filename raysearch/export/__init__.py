"""A folder that runs: written from a study, scored again, and used on new images."""

from raysearch.export._bundle import Bundle, load_bundle
from raysearch.export._evaluate import Part, evaluate_bundle
from raysearch.export._predict import PredictedImage, predict_images
from raysearch.export._verify import Comparison, verify_bundle
from raysearch.export._write import Exported, export_study

__all__ = [
    "Bundle",
    "Comparison",
    "Exported",
    "Part",
    "PredictedImage",
    "evaluate_bundle",
    "export_study",
    "load_bundle",
    "predict_images",
    "verify_bundle",
]
