"""CheXseg: expert masks and pseudo-labels of a classifier's saliency maps, mixed with probability p."""

from methods.chexseg._config import CheXsegConfig
from methods.chexseg._method import CheXseg

__all__ = ["CheXseg", "CheXsegConfig"]
