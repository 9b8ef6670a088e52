"""Data: asked for (`parse_data`), read once (`open_collection`), divided (`make_split`), limited (`choose_annotated`,
`choose_labelled`), kept from those who may not see all of it (`guard`) and explained (`check`)."""

from __future__ import annotations

from raysearch.data._annotated import Annotation, choose_annotated
from raysearch.data._cache import UnusableDataError, load_collection, open_collection, reopen_collection
from raysearch.data._check import CheckReport, ClassCount, check
from raysearch.data._check_joined import JoinedReport, check_joined
from raysearch.data._collection import ABSENT, PRESENT, UNKNOWN, Collection, View
from raysearch.data._guard import guard
from raysearch.data._joined import join
from raysearch.data._labelled import Labelling, choose_labelled
from raysearch.data._parts import PARTS, UNUSED
from raysearch.data._phantom import PHANTOM_OPTIONS, PHANTOM_VERSION, phantom_arrays
from raysearch.data._sheet import write_sheets
from raysearch.data._spec import LABELS, REGIONS, SOURCES, AnySpec, DataSpec, JoinedSpec, parse_data
from raysearch.data._split import Split, make_folds, make_split
from raysearch.data.kinds import all_kinds, get_kind

__all__ = [
    "ABSENT",
    "LABELS",
    "PARTS",
    "PHANTOM_OPTIONS",
    "PHANTOM_VERSION",
    "PRESENT",
    "REGIONS",
    "SOURCES",
    "UNKNOWN",
    "UNUSED",
    "Annotation",
    "AnySpec",
    "CheckReport",
    "ClassCount",
    "Collection",
    "DataSpec",
    "JoinedReport",
    "JoinedSpec",
    "Labelling",
    "Split",
    "UnusableDataError",
    "View",
    "all_kinds",
    "check",
    "check_joined",
    "choose_annotated",
    "choose_labelled",
    "get_kind",
    "guard",
    "join",
    "load_collection",
    "make_folds",
    "make_split",
    "open_collection",
    "parse_data",
    "phantom_arrays",
    "reopen_collection",
    "write_sheets",
]
