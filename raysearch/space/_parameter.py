"""One parameter of a search space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from raysearch.space._domain import TYPES, Choice, Domain, FloatRange, Trial, type_name
from raysearch.space._types import Scalar, Value

Kind = Literal["train", "stage", "loss", "decision", "postprocess"]

KINDS: tuple[Kind, ...] = get_args(Kind)
"""By what another value costs: a training, the later stages of one, more training, stored evidence, stored maps."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter, searched or fixed.

    Attributes:
        default: the fixed value, or what a searched parameter is while its condition does not hold or its kind is not
            sampled.
        domain: where it is searched; None if it is fixed.
        when: it is searched only while each of these other parameters has one of these values.
        per_class: a threshold of each class's own.
        fraction_of: name of another parameter; `default` and what is drawn from `domain` are shares of its value.
        source: where value and range come from.
        origin: place of its entry, ``file:line`` or the option that changed it.
    """

    name: str
    kind: Kind
    default: Value
    domain: Domain | None = None
    when: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict)
    per_class: bool = False
    fraction_of: str | None = None
    source: str = ""
    origin: str = ""

    def suggest(self, trial: Trial, name: str) -> Value:
        """A value of its domain under a name of Optuna's."""
        return self.default if self.domain is None else self.domain.suggest(trial, name)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dictionaries and scalars, as in a search-space file, with name, kind and origin."""
        out: dict[str, Any] = {"name": self.name, "kind": self.kind}
        if self.domain is None:
            out["value"] = _plain(self.default)
        else:
            domain = {key: _plain(value) for key, value in asdict(self.domain).items()}
            out |= {"type": type_name(self.domain), **domain, "default": _plain(self.default)}
        if self.when:
            out["when"] = {parent: list(values) for parent, values in self.when.items()}
        if self.per_class:
            out["per_class"] = True
        if self.fraction_of is not None:
            out["fraction_of"] = self.fraction_of
        return out | {"source": self.source, "origin": self.origin}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Parameter:
        """The inverse of `to_dict`; KeyError, TypeError or ValueError for anything else."""
        domain: Domain | None = None
        if "type" in data:
            kind = TYPES[data["type"]]
            domain = kind(**{key: _frozen(data[key]) for key in kind.__dataclass_fields__})
        return cls(
            name=data["name"],
            kind=data["kind"],
            default=_frozen(data["default" if domain else "value"]),
            domain=domain,
            when={parent: tuple(values) for parent, values in data.get("when", {}).items()},
            per_class=data.get("per_class", False),
            fraction_of=data.get("fraction_of"),
            source=data["source"],
            origin=data["origin"],
        )


def threshold_parameter(name: str, default: float, origin: str) -> Parameter:
    """A decision threshold that no file mentions: [0, 1]."""
    domain = FloatRange(low=0.0, high=1.0)
    return Parameter(name=name, kind="decision", default=default, domain=domain, source="the method", origin=origin)


def settled(parameter: Parameter) -> Parameter:
    """The parameter, fixed if its domain holds one value alone, which then is its default: there is nothing to search.
    A fraction stays one."""
    if parameter.domain is None or not parameter.domain.single:
        return parameter
    return replace(parameter, domain=None, when={}, per_class=False)


def is_switch(parameter: Parameter) -> bool:
    """Whether conditions may be put on it: its values can be listed."""
    return parameter.domain is None or isinstance(parameter.domain, Choice)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
