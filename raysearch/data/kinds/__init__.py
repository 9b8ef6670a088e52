"""The kinds of data that ``--data KIND:PATH`` knows."""

from __future__ import annotations

from raysearch.data.kinds._base import Kind, Option, OptionValue
from raysearch.data.kinds.chestxray14 import ChestXray14
from raysearch.data.kinds.chexpert import CheXpert
from raysearch.data.kinds.covid_chestxray import CovidChestXray
from raysearch.data.kinds.cub import Cub
from raysearch.data.kinds.flowers102 import Flowers102
from raysearch.data.kinds.glas import Glas
from raysearch.data.kinds.jsrt import Jsrt
from raysearch.data.kinds.kermany import Kermany
from raysearch.data.kinds.montgomery import Montgomery
from raysearch.data.kinds.pets import Pets
from raysearch.data.kinds.phantom import Phantom
from raysearch.errors import DataError, nearest

_KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Phantom(),
        ChestXray14(),
        CheXpert(),
        CovidChestXray(),
        Jsrt(),
        Kermany(),
        Montgomery(),
        Glas(),
        Cub(),
        Flowers102(),
        Pets(),
    )
}


def all_kinds() -> tuple[Kind, ...]:
    return tuple(_KINDS.values())


def get_kind(name: str) -> Kind:
    """The kind of that name.

    Raises:
        DataError: there is none; names the nearest.
    """
    if name not in _KINDS:
        raise DataError(f"unknown kind of data '{name}'; {nearest(name, _KINDS)}")
    return _KINDS[name]


__all__ = ["Kind", "Option", "OptionValue", "all_kinds", "get_kind"]
