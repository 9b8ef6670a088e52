"""Dense conditional random field for two labels (Krähenbühl & Koltun, NeurIPS 2011)."""

from methods.layers.crf._mean_field import CrfSettings, dense_crf

__all__ = ["CrfSettings", "dense_crf"]
