"""Min-max entropy for weakly supervised pointwise localization (Belharbi et al., arXiv:1907.12934)."""

from methods.minmax_entropy._config import MinMaxEntropyConfig
from methods.minmax_entropy._method import MinMaxEntropy

__all__ = ["MinMaxEntropy", "MinMaxEntropyConfig"]
