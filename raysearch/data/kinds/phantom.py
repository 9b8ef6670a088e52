"""The built-in procedural set as a kind of data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raysearch.data._collection import View
from raysearch.data._manifest import ArrayManifest
from raysearch.data._phantom import PHANTOM_OPTIONS, PHANTOM_VERSION, TASKS, phantom_arrays
from raysearch.data.kinds._base import Kind, Option
from raysearch.data.phantom import DOMAINS

if TYPE_CHECKING:
    from raysearch.data._spec import DataSpec


def _option(name: str, about: str, choices: tuple[str, ...] = (), low: float = 0, high: float = 0) -> Option:
    return Option(name=name, default=PHANTOM_OPTIONS[name], about=about, choices=choices, low=low, high=high)


class Phantom(Kind):
    name = "phantom"
    title = "the built-in phantom: procedural chest radiographs with exact region truth"
    version = PHANTOM_VERSION
    needs_path = False
    options = (
        _option("task", "what the images are labelled with", choices=tuple(TASKS)),
        _option("images", "how many", low=16, high=1_000_000),
        _option("size", "side of the square images in pixels", low=32, high=1024),
        _option("domain", "acquisition domain", choices=tuple(DOMAINS)),
        _option("annotated", "share of the images whose region truth is known", low=0, high=1),
        _option("seed", "of the set, not of the search", low=0, high=2**31 - 1),
    )

    def read(self, spec: DataSpec, view: View) -> ArrayManifest:
        return phantom_arrays(
            view,
            task=str(spec["task"]),
            images=int(spec["images"]),
            size=spec.size,
            domain=str(spec["domain"]),
            annotated=float(spec["annotated"]),
            seed=int(spec["seed"]),
        )
