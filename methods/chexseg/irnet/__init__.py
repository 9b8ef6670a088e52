"""IRNet (Ahn et al., CVPR 2019): boundaries and displacements between neighbouring cells, learned from the surest parts
of saliency maps (appendix A.2, B.1)."""

from methods.chexseg.irnet._work import IrNet
from methods.chexseg.irnet.seeds import Seeds

__all__ = ["IrNet", "Seeds"]
