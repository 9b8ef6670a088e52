"""MultiMix: classification and segmentation from mostly unlabelled images of two sources, and its eight baselines."""

from methods.multimix._config import (
    EncConfig,
    EncMmConfig,
    EncSslConfig,
    MultiMixConfig,
    MultiMixUNetConfig,
    UmtlConfig,
    UmtlSConfig,
    UmtlSslConfig,
    UmtlSslSConfig,
)
from methods.multimix._encoder import Enc, EncSsl
from methods.multimix._mixmatch import EncMm
from methods.multimix._tasks import MultiMix, MultiMixUNet, Umtl, UmtlS, UmtlSsl, UmtlSslS

__all__ = [
    "Enc",
    "EncConfig",
    "EncMm",
    "EncMmConfig",
    "EncSsl",
    "EncSslConfig",
    "MultiMix",
    "MultiMixConfig",
    "MultiMixUNet",
    "MultiMixUNetConfig",
    "Umtl",
    "UmtlConfig",
    "UmtlS",
    "UmtlSConfig",
    "UmtlSsl",
    "UmtlSslConfig",
    "UmtlSslS",
    "UmtlSslSConfig",
]
