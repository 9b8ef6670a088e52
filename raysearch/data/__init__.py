"""Data: asked for (`DataSpec`), read once (`open_collection`), divided (`make_split`), limited (`choose_annotated`),
kept from those who may not see all of it (`guard`) and explained (`check`)."""

from __future__ import annotations

from raysearch.data._annotated import Annotation, choose_annotated
from raysearch.data._cache import UnusableDataError, load_collection, open_collection
from raysearch.data._check import CheckReport, ClassCount, check
from raysearch.data._collection import ABSENT, PRESENT, UNKNOWN, Collection, View
from raysearch.data._guard import guard
from raysearch.data._parts import PARTS, UNUSED
from raysearch.data._phantom import PHANTOM_OPTIONS, PHANTOM_VERSION, phantom_arrays
from raysearch.data._spec import DataSpec
from raysearch.data._split import Split, make_folds, make_split
from raysearch.data.kinds import all_kinds, get_kind

__all__ = [
    "ABSENT",
    "PARTS",
    "PHANTOM_OPTIONS",
    "PHANTOM_VERSION",
    "PRESENT",
    "UNKNOWN",
    "UNUSED",
    "Annotation",
    "CheckReport",
    "ClassCount",
    "Collection",
    "DataSpec",
    "Split",
    "UnusableDataError",
    "View",
    "all_kinds",
    "check",
    "choose_annotated",
    "get_kind",
    "guard",
    "load_collection",
    "make_folds",
    "make_split",
    "open_collection",
    "phantom_arrays",
]
