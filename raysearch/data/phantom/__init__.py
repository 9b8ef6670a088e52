"""The parts of the procedural chest X-ray set; `raysearch.data._phantom` makes collections of them."""

from raysearch.data.phantom._acquisition import DOMAINS
from raysearch.data.phantom._findings import FINDINGS
from raysearch.data.phantom._population import LABEL_NOISE, annotated_rows, findings, patients, reported
from raysearch.data.phantom._radiograph import Radiograph, radiograph
from raysearch.data.phantom._streams import IMAGE, PIXELS, Key, stream

__all__ = [
    "DOMAINS",
    "FINDINGS",
    "IMAGE",
    "LABEL_NOISE",
    "PIXELS",
    "Key",
    "Radiograph",
    "annotated_rows",
    "findings",
    "patients",
    "radiograph",
    "reported",
    "stream",
]
