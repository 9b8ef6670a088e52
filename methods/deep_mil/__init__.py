"""Attention-based deep multiple-instance learning (Ilse et al., ICML 2018), with an attention map a class."""

from methods.deep_mil._config import DeepMilConfig
from methods.deep_mil._method import DeepMil

__all__ = ["DeepMil", "DeepMilConfig"]
