"""Search spaces: what is searched, over which range, and where every value comes from."""

from raysearch.space._domain import Choice, Domain, FloatRange, IntRange
from raysearch.space._file import Budget
from raysearch.space._function import FunctionSpace
from raysearch.space._load import AnySpace, load_space, presets, space_from_dict
from raysearch.space._parameter import KINDS, Kind, Parameter
from raysearch.space._settings import point_asking, settings_by_file, settings_of
from raysearch.space._space import DecisionMode, LossMode, Space

__all__ = [
    "KINDS",
    "AnySpace",
    "Budget",
    "Choice",
    "DecisionMode",
    "Domain",
    "FloatRange",
    "FunctionSpace",
    "IntRange",
    "Kind",
    "LossMode",
    "Parameter",
    "Space",
    "load_space",
    "point_asking",
    "presets",
    "settings_by_file",
    "settings_of",
    "space_from_dict",
]
