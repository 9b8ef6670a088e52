"""The kinds of evidence, by name."""

from __future__ import annotations

from raysearch.thresholds._components import Components
from raysearch.thresholds._counts import Counts
from raysearch.thresholds._evidence import Evidence
from raysearch.thresholds._logits import Logits
from raysearch.thresholds._maps import Maps
from raysearch.thresholds._pairs import FromMaps
from raysearch.thresholds._ranks import Ranks
from raysearch.thresholds._regions import Regions

KINDS: dict[str, type[Evidence]] = {cls.kind: cls for cls in (Counts, Ranks, Regions, Components, Logits, Maps)}
"""In the order in which they are collected and written."""

FROM_MAPS: dict[str, type[FromMaps]] = {cls.kind: cls for cls in (Counts, Ranks, Components, Maps)}
"""Those made from maps and regions."""
