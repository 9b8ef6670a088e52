"""Finds methods by name. Ours are registered by the same means as a stranger's: an entry point."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from raysearch.errors import MethodError, nearest

if TYPE_CHECKING:
    from raysearch.method._base import Method

GROUP = "raysearch.methods"


def method_names() -> tuple[str, ...]:
    """Names of all installed methods, sorted. Imports none of them."""
    return tuple(sorted(_registered()))


def titles() -> dict[str, str]:
    """Name and one-line title of all installed methods, sorted by name; imports them.

    A method that cannot be imported is left out, with a warning: a broken plug-in must not take the others with it.
    """
    found: dict[str, str] = {}
    for name in method_names():
        try:
            found[name] = load_method(name).title
        except MethodError as error:
            warnings.warn(str(error), stacklevel=2)
    return found


def load_method(name_or_path: str) -> type[Method]:
    """The class of a method.

    Args:
        name_or_path: a registered name, or ``package.module:Class``.

    Raises:
        MethodError: the name is unknown or registered twice, the module cannot be imported, or what it holds is no
            method.
    """
    if ":" in name_or_path:
        module, _, attribute = name_or_path.partition(":")
        return _checked(name_or_path, lambda: _attribute(module, attribute))
    registered = _registered()
    if name_or_path not in registered:
        raise MethodError(
            f"unknown method {name_or_path!r}: {nearest(name_or_path, registered)} (or give package.module:Class)"
        )
    targets = registered[name_or_path]
    if len(targets) > 1:
        raise MethodError(
            f"method {name_or_path!r} is registered {len(targets)} times, as {', '.join(sorted(targets))}: "
            "uninstall all but one of these packages, or give one as package.module:Class"
        )
    (entry,) = targets.values()
    method = _checked(f"{name_or_path} ({entry.value})", entry.load)
    if method.name != name_or_path:
        raise MethodError(
            f"method {name_or_path!r} is registered for {entry.value}, which calls itself {method.name!r}"
        )
    return method


def _registered() -> dict[str, dict[str, EntryPoint]]:
    """For each name the entry points by target; one package found twice on the path counts once."""
    found: dict[str, dict[str, EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, {})[entry.value] = entry
    return found


def _attribute(module: str, attribute: str) -> Any:
    loaded = importlib.import_module(module)
    if not hasattr(loaded, attribute):
        raise AttributeError(f"module {module} has no {attribute!r}, {nearest(attribute, vars(loaded))}")
    return getattr(loaded, attribute)


def _checked(label: str, load: Callable[[], Any]) -> type[Method]:
    from raysearch.method._base import Method

    try:
        found = load()
    except (Exception, SystemExit) as error:  # whatever a stranger's module raises on import
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise MethodError(f"method {label} cannot be loaded ({reason}): is it installed or on PYTHONPATH?") from error
    if not (isinstance(found, type) and issubclass(found, Method)):
        raise MethodError(f"method {label} is {found!r}: expected a subclass of raysearch.method.Method")
    missing = [name for name in ("name", "title", "Config", "view") if not hasattr(found, name)]
    if missing:
        raise MethodError(f"method {label} lacks the class attribute {missing[0]!r}: see raysearch.method.Method")
    return found
