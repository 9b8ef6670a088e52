"""raysearch: search for hyper-parameters and thresholds of weakly and semi-supervised localization methods."""

__version__ = "0.1.0"
