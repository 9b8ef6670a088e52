"""Region proposals for saliency map refinement: saliency and proposals learned from image labels alone."""

from methods.saliency_proposals._config import SaliencyProposalsConfig
from methods.saliency_proposals._method import SaliencyProposals

__all__ = ["SaliencyProposals", "SaliencyProposalsConfig"]
