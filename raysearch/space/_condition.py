"""Conditions of parameters that no value can fulfil."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from raysearch.errors import SpaceError
from raysearch.space._domain import Choice
from raysearch.space._parameter import Parameter
from raysearch.space._types import same, text_of


def unmet(name: str, parameters: Mapping[str, Parameter]) -> tuple[str, str] | None:
    """A condition that cannot hold, whatever is drawn, of a parameter or of one that it depends on.

    Returns:
        The parameter whose condition it is, and the one that it is put on; None if all may hold.
    """
    for parent, values in parameters[name].when.items():
        domain = parameters[parent].domain
        possible = domain.choices if isinstance(domain, Choice) else (parameters[parent].default,)
        if not any(same(one, value) for one in possible for value in values):
            return name, parent
        above = unmet(parent, parameters)
        if above is not None:
            return above
    return None


def refuse_unmet(names: Iterable[str], parameters: Mapping[str, Parameter]) -> None:
    """Refuses what the command line says of parameters of which no trial would make use.

    Raises:
        SpaceError: one line that names the option of one of the `names`, and why its condition cannot hold.
    """
    for name in names:
        found = unmet(name, parameters)
        if found is None:
            continue
        child, parent = found
        depends = f"{name} depends on {child}, and " if child != name else ""
        values = " or ".join(map(text_of, parameters[child].when[parent]))
        other = parameters[parent]
        raise SpaceError(
            f"{parameters[name].origin}: {depends}{child} goes with {parent} = {values} alone, and {parent} is"
            f" {other.domain or text_of(other.default)} ({other.origin}); change {parent}, or leave {name} out"
        )
