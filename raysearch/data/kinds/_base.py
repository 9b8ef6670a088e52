"""What a kind of data is: a name, its options, and a reader of the layout that its users have on disk."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from raysearch.data._collection import View
from raysearch.data._depth import DEPTHS
from raysearch.data._fit import FIT_MODES
from raysearch.data._manifest import Manifest
from raysearch.errors import DataError, nearest

if TYPE_CHECKING:
    from raysearch.data._spec import DataSpec

OptionValue = str | int | float


@dataclass(frozen=True, kw_only=True)
class Option:
    """A setting in ``KIND:PATH,name=value``. The default's type is the option's type.

    Attributes:
        choices: the values of a text option.
        low, high: the inclusive range of a number.
        about: one line for the help.
    """

    name: str
    default: OptionValue
    about: str
    choices: tuple[str, ...] = ()
    low: float = float("-inf")
    high: float = float("inf")

    def parse(self, text: str, where: str) -> OptionValue:
        """A value of the option's type.

        Raises:
            DataError: not one of the choices, not a number, out of range; begins with `where`.
        """
        if isinstance(self.default, str):
            if text not in self.choices:
                raise DataError(f"{where}: unknown {self.name} '{text}'; {nearest(text, self.choices)}")
            return text
        whole = isinstance(self.default, int)
        expected = (
            f"expected {'a whole number' if whole else 'a number'} from {_number(self.low)} to {_number(self.high)}"
        )
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            raise DataError(f"{where}: {self.name}={text}; {expected}") from None
        if not self.low <= value <= self.high:
            raise DataError(f"{where}: {self.name}={text}; {expected}")
        return value


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:g}"


def task_option(*tasks: str) -> Option:
    """The option ``task``; the first task is the default."""
    return Option(name="task", default=tasks[0], choices=tasks, about="what the images are labelled with")


def size_option(default: int, low: int = 16) -> Option:
    return Option(
        name="size", default=default, low=low, high=4096, about="side of the square images in pixels, long side kept"
    )


MISSING = Option(
    name="missing",
    default="error",
    choices=("error", "skip"),
    about="what to do about images that a table lists and the folder does not hold",
)

BITS = Option(
    name="bits",
    default="auto",
    choices=("auto", *map(str, DEPTHS)),
    about="how many bits the values in 16-bit files have; auto finds it out or asks",
)


FIT = Option(
    name="fit",
    default="pad",
    choices=FIT_MODES,
    about="how pictures become square: pad the short side, crop the long one, or stretch both",
)


class Kind(abc.ABC):
    """A kind of data.

    Class attributes:
        name: what stands before the colon.
        title: one line with the source.
        version: raised whenever the same folder or options would give other arrays.
        needs_path: whether a folder has to be named. A kind without one is a function of its options alone.
        options: its own options; ``task`` and ``size`` among them.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    version: ClassVar[int]
    needs_path: ClassVar[bool] = True
    options: ClassVar[tuple[Option, ...]]

    @property
    def all_options(self) -> tuple[Option, ...]:
        """Its own options and those of all kinds that read pictures."""
        return (*self.options, FIT, BITS) if self.needs_path else self.options

    @property
    def tasks(self) -> tuple[str, ...]:
        return next(option.choices for option in self.options if option.name == "task")

    @abc.abstractmethod
    def read(self, spec: DataSpec, view: View) -> Manifest:
        """Reads tables and file names, no pixels. What is wrong with single rows goes into the manifest's `problems`.

        Raises:
            DataError: no such folder or table, a table without a column that is needed, nothing left of it.
        """
