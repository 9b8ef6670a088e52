"""A validated search space."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from raysearch.errors import SpaceError, nearest
from raysearch.space._check import check_config, complete, parents_first
from raysearch.space._condition import refuse_unmet, unmet
from raysearch.space._domain import Trial, type_name
from raysearch.space._file import Budget, Contents
from raysearch.space._fraction import apply_fractions
from raysearch.space._loss import check_loss_thresholds
from raysearch.space._override import apply_overrides
from raysearch.space._parameter import Parameter
from raysearch.space._types import conform, field_types, same, text_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from raysearch.method import Method

LossMode = Literal["alternate", "sample", "fixed"]
DecisionMode = Literal["solve", "sample", "fixed"]


@dataclass(frozen=True, kw_only=True)
class Space:
    """What a study searches, complete: every setting and decision threshold of a method has a value or a range.

    Attributes:
        method: the class whose `Config` the values are for.
        preset: ``paper``, ``small`` or a user's own.
        file: the file it was read from.
        budget: what the file says a study may spend.
        parameters: by name, in the order of kinds and files.
        loss_thresholds: who searches parameters of kind loss: the alternating scheduler, Optuna, or nobody.
        decision_thresholds: who searches those of kind decision: the exact solve, Optuna, or nobody.
        classes: names of the classes, needed to sample thresholds class by class.
    """

    method: type[Method]
    preset: str
    file: str
    budget: Budget
    parameters: Mapping[str, Parameter]
    loss_thresholds: LossMode = "sample"
    decision_thresholds: DecisionMode = "solve"
    classes: tuple[str, ...] = ()

    @classmethod
    def from_contents(cls, contents: Contents, method: type[Method]) -> Space:
        """Completes and validates what files say."""
        parameters = complete(contents.parameters, method, contents.file)
        space = cls(
            method=method, preset=contents.preset, file=contents.file, budget=contents.budget, parameters=parameters
        )
        space.validate()
        return space

    def validate(self) -> None:
        """SpaceError if conditions or values contradict each other."""
        parents_first(self.parameters)
        check_loss_thresholds(self.parameters, self.method)
        check_config(self.parameters, self.method, self.file)

    @cached_property
    def searched(self) -> tuple[str, ...]:
        """Names that `sample` may ask Optuna for."""
        modes = {"loss": self.loss_thresholds, "decision": self.decision_thresholds}
        drawn = {
            name: p if modes.get(p.kind, "sample") == "sample" else replace(p, domain=None)
            for name, p in self.parameters.items()
        }
        return tuple(name for name, p in drawn.items() if p.domain is not None and unmet(name, drawn) is None)

    @cached_property
    def solved(self) -> tuple[str, ...]:
        """Names of decision thresholds left to the exact solve."""
        if self.decision_thresholds != "solve":
            return ()
        return tuple(name for name, p in self.parameters.items() if p.kind == "decision" and p.domain is not None)

    @cached_property
    def alternated(self) -> tuple[str, ...]:
        """Names of loss thresholds that the alternating scheduler moves."""
        if self.loss_thresholds != "alternate":
            return ()
        return tuple(name for name, p in self.parameters.items() if p.kind == "loss" and p.domain is not None)

    def defaults(self) -> dict[str, Any]:
        """A value for every parameter: the fixed one, or the default; by class where it is sampled by class."""
        return self.resolve(self.stated())

    def stated(self) -> dict[str, Any]:
        """`defaults` as they are written: a fraction is not yet one of anything."""
        return {
            name: dict.fromkeys(self.classes, parameter.default) if self._by_class(name) else parameter.default
            for name, parameter in self.parameters.items()
        }

    def resolve(self, values: Mapping[str, Any], absolute: Collection[str] = ()) -> dict[str, Any]:
        """Values in which every fraction, but for those of the names in `absolute`, has become a number."""
        ordered = {name: self.parameters[name] for name in parents_first(self.parameters)}
        return apply_fractions(ordered, values, absolute)

    def first_point(self) -> dict[str, Any]:
        """Defaults of what `sample` may ask for, under its name at Optuna and as it is drawn there."""
        stated = self.stated()
        return {asked: stated[name] if label is None else stated[name][label] for asked, (name, label) in self._asked()}

    def sample(self, trial: Trial) -> dict[str, Any]:
        """A value for every parameter, asked of an Optuna trial; defaults where a condition does not hold.

        A threshold sampled class by class is called ``name[class]`` there, and a dictionary by class here. What is
        drawn as a fraction is a fraction there, and what it comes to here.

        Raises:
            ValueError: thresholds are to be sampled by class, and the classes are not known yet (`for_classes`).
        """
        values, active = self.stated(), dict.fromkeys(self.parameters, False)
        for name in parents_first(self.parameters):
            parameter = self.parameters[name]
            active[name] = all(
                active[parent] and any(same(values[parent], allowed) for allowed in allowed_values)
                for parent, allowed_values in parameter.when.items()
            )
            if not active[name] or name not in self.searched:
                continue
            if parameter.per_class:
                if not self.classes:
                    raise ValueError(f"{name} is sampled class by class: call for_classes first")
                values[name] = {label: parameter.suggest(trial, f"{name}[{label}]") for label in self.classes}
            else:
                values[name] = parameter.suggest(trial, name)
        return self.resolve(values)

    def distributions(self) -> dict[str, BaseDistribution]:
        """Optuna's distribution of everything that `sample` may ask for, under its name there."""
        out: dict[str, BaseDistribution] = {}
        for asked, (name, _) in self._asked():
            domain = self.parameters[name].domain
            assert domain is not None
            out[asked] = domain.distribution()
        return out

    def split(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Values as arguments of the method's `Config`, and as decision thresholds (a number, or one by class)."""
        config: dict[str, Any] = {}
        thresholds: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            (thresholds if parameter.kind == "decision" else config)[name] = values[name]
        return config, thresholds

    def override(self, sets: Iterable[str] = (), fixes: Iterable[str] = ()) -> Space:
        """The space after ``--set`` and ``--fix`` of the command line; SpaceError names the option, also one of a
        parameter whose condition cannot hold."""
        parameters = apply_overrides(self.parameters, sets, fixes, self.method)
        space = replace(self, parameters=parameters)
        space.validate()
        # what is fixed has lost its condition
        conditioned = {name: replace(p, when=self.parameters[name].when) for name, p in parameters.items()}
        refuse_unmet([name for name, p in parameters.items() if p is not self.parameters[name]], conditioned)
        return space

    def with_modes(self, *, loss_thresholds: str = "sample", decision_thresholds: str = "solve") -> Space:
        """The space with ``--loss-thresholds alternate|sample|fixed`` and
        ``--decision-thresholds solve|sample|fixed``."""
        loss = _mode("--loss-thresholds", loss_thresholds, get_args(LossMode))
        decision = _mode("--decision-thresholds", decision_thresholds, get_args(DecisionMode))
        return replace(self, loss_thresholds=loss, decision_thresholds=decision)

    def for_classes(self, classes: Sequence[str]) -> Space:
        """The space for a task with these classes; SpaceError if a value by class is of others."""
        for parameter in self.parameters.values():
            named = parameter.default
            if isinstance(named, Mapping) and set(named) != set(classes):
                raise SpaceError(
                    f"{parameter.origin}: {parameter.name} is given for {', '.join(named)}, expected each class of the"
                    f" data once: {', '.join(classes)}"
                )
        return replace(self, classes=tuple(classes))

    def describe(self) -> list[dict[str, str]]:
        """A row for each parameter, for tables: name, kind, type, range, default, when, who searches it, source."""
        rows = []
        for name, parameter in self.parameters.items():
            conditions = (f"{parent} = {' | '.join(map(str, v))}" for parent, v in parameter.when.items())
            of = f" x {parameter.fraction_of}" if parameter.fraction_of is not None else ""
            rows.append(
                {
                    "name": name,
                    "kind": parameter.kind,
                    "type": type_name(parameter.domain) if parameter.domain else "fixed",
                    "range": f"{parameter.domain}{of}" if parameter.domain else "",
                    "default": f"{text_of(parameter.default)}{of}",
                    "when": ", ".join(conditions),
                    "searched by": self._searcher(name) + (" (each class)" if parameter.per_class else ""),
                    "source": parameter.source,
                }
            )
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Everything, in plain lists, dictionaries and scalars (JSON or YAML); `from_dict` is the inverse."""
        return {
            "method": self.method.name,
            "preset": self.preset,
            "file": self.file,
            "budget": asdict(self.budget),
            "loss_thresholds": self.loss_thresholds,
            "decision_thresholds": self.decision_thresholds,
            "classes": list(self.classes),
            # a list: the order decides which random number a parameter gets
            "parameters": [parameter.to_dict() for parameter in self.parameters.values()],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], method: type[Method]) -> Space:
        """Restores what `to_dict` gave; SpaceError if it is damaged or the method's settings are others by now."""
        try:
            parameters = [Parameter.from_dict(entry) for entry in data["parameters"]]
            space = cls(
                method=method,
                preset=data["preset"],
                file=data["file"],
                budget=Budget(**data["budget"]),
                parameters={parameter.name: parameter for parameter in parameters},
                classes=tuple(data["classes"]),
            ).with_modes(loss_thresholds=data["loss_thresholds"], decision_thresholds=data["decision_thresholds"])
            if data["method"] != method.name:
                raise ValueError(f"it is for {data['method']}, not {method.name}")
            for name, hint in field_types(method.Config).items():
                conform(space.parameters[name].default, hint)
        except KeyError as error:
            raise SpaceError(f"recorded search space: {error} is missing; start a new study") from None
        except (TypeError, ValueError) as error:
            raise SpaceError(f"recorded search space: {error}; start a new study") from None
        space.validate()
        return space

    def digest(self) -> str:
        """Hex digest of what is searched and how: equal for two spaces from which trials can be compared.

        Names of files, presets, sources, classes (the data's own digest has them) and the budget do not enter.
        """
        data = self.to_dict()
        kept = {name: data[name] for name in ("method", "loss_thresholds", "decision_thresholds")}
        parameters = [{k: v for k, v in p.items() if k not in ("source", "origin")} for p in data["parameters"]]
        text = json.dumps(kept | {"parameters": parameters}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _asked(self) -> Iterator[tuple[str, tuple[str, str | None]]]:
        """Name at Optuna, and (parameter, class or None), of everything that `sample` may ask for."""
        for name in self.searched:
            if self._by_class(name):
                yield from ((f"{name}[{label}]", (name, label)) for label in self.classes)
            else:
                yield name, (name, None)

    def _searcher(self, name: str) -> str:
        named = {"optuna": self.searched, "solve": self.solved, "alternate": self.alternated}
        return next((searcher for searcher, names in named.items() if name in names), "fixed")

    def _by_class(self, name: str) -> bool:
        return self.parameters[name].per_class and name in self.searched and bool(self.classes)


def _mode(option: str, value: str, known: tuple[Any, ...]) -> Any:
    if value not in known:
        raise SpaceError(f"{option} {value}: expected {' or '.join(known)}; {nearest(value, known)}")
    return value
