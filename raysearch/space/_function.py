"""A search space written in Python: a function of an Optuna trial."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysearch.errors import SpaceError, nearest
from raysearch.space._domain import Trial, check_drawable
from raysearch.space._entry import setting_types
from raysearch.space._file import Budget
from raysearch.space._override import apply_overrides
from raysearch.space._parameter import Parameter
from raysearch.space._space import DecisionMode, LossMode, Space
from raysearch.space._types import Value, conform

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from raysearch.method import Method


@dataclass(frozen=True, kw_only=True)
class FunctionSpace:
    """A space whose searched values come from ``module:function``; the rest are the defaults of a preset.

    The function gets an Optuna trial, asks it for what it likes, and returns values of settings by name. It has the
    interface of `Space`. What it searches is known as far as one trial shows.

    Attributes:
        path: ``module:function``.
        base: the preset, whose defaults hold for what the function does not return.
        fixes: ``--fix``: these win over the function.
    """

    path: str
    function: Callable[[Any], Mapping[str, Any]]
    base: Space
    fixes: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: str, base: Space) -> FunctionSpace:
        """Imports the function and tries it on one random trial; SpaceError if either fails."""
        space = cls(path=path, function=_imported(path), base=base)
        # which thresholds are sampled is said later
        space.with_modes(decision_thresholds="sample")
        return space

    @property
    def method(self) -> type[Method]:
        return self.base.method

    @property
    def preset(self) -> str:
        return self.base.preset

    @property
    def file(self) -> str:
        return self.path

    @property
    def budget(self) -> Budget:
        return self.base.budget

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """Of the preset: kinds, types and defaults."""
        return self.base.parameters

    @property
    def loss_thresholds(self) -> LossMode:
        return self.base.loss_thresholds

    @property
    def decision_thresholds(self) -> DecisionMode:
        return self.base.decision_thresholds

    @property
    def classes(self) -> tuple[str, ...]:
        return self.base.classes

    @property
    def searched(self) -> tuple[str, ...]:
        """Names that the function asks Optuna for and that may get more than one value; they may differ from those of
        settings."""
        return tuple(name for name, domain in self.distributions().items() if not domain.single())

    @property
    def solved(self) -> tuple[str, ...]:
        return self.base.solved

    @property
    def alternated(self) -> tuple[str, ...]:
        return self.base.alternated

    def defaults(self) -> dict[str, Any]:
        return self.base.defaults()

    def first_point(self) -> dict[str, Any]:
        """Defaults of settings that the function asks for by their own names, where it may get them."""
        defaults = self.defaults()
        return {
            name: defaults[name]
            for name, domain in self.distributions().items()
            if name in defaults and _holds(domain, defaults[name])
        }

    def sample(self, trial: Trial) -> dict[str, Any]:
        """`Space.sample`; SpaceError if the function fails or returns what the method does not have."""
        try:
            answer = dict(self.function(trial))
        except (Exception, SystemExit) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise SpaceError(f"--space {self.path}: the function failed ({reason})") from error
        fixed = {text.partition("=")[0] for text in self.fixes}
        values, hints = self.base.stated(), setting_types(self.method)
        absolute = set()
        for name, value in answer.items():
            if name not in hints:
                known = nearest(str(name), hints)
                raise SpaceError(f"--space {self.path}: it returns '{name}', unknown to {self.method.name}; {known}")
            if name in self.method.decision_thresholds and self.decision_thresholds != "sample":
                raise SpaceError(
                    f"--space {self.path}: it returns the decision threshold '{name}', which is not sampled; leave it "
                    "out, or pass --decision-thresholds sample"
                )
            if any(name == t.name for t in self.method.loss_thresholds) and self.loss_thresholds != "sample":
                raise SpaceError(
                    f"--space {self.path}: it returns the loss threshold '{name}', which is not sampled; leave it out, "
                    "or pass --loss-thresholds sample"
                )
            try:
                if name not in fixed:
                    values[name] = self._of_classes(conform(value, hints[name]))
                    absolute.add(name)
            except ValueError as error:
                raise SpaceError(f"--space {self.path}: {name}: {error}") from None
        return self.base.resolve(values, absolute)

    def distributions(self) -> dict[str, BaseDistribution]:
        """Of what the function asks on one random trial, always the same one."""
        import optuna

        verbosity = optuna.logging.get_verbosity()
        # creating a study logs a line, and this one is no study of the user's
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
        finally:
            optuna.logging.set_verbosity(verbosity)
        values = self.sample(trial)
        config, _ = self.split(values)
        try:
            self.method.Config(**config)
        except (ValueError, TypeError) as error:
            raise SpaceError(f"--space {self.path}: {self.method.name} refuses what it returns: {error}") from None
        for name, domain in trial.distributions.items():
            try:
                check_drawable(domain)
            except ValueError as error:
                raise SpaceError(f"--space {self.path}: {name}: {error}") from None
        return dict(trial.distributions)

    def split(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.base.split(values)

    def override(self, sets: Iterable[str] = (), fixes: Iterable[str] = ()) -> FunctionSpace:
        for text in sets:
            raise SpaceError(
                f"--set {text}: what is searched is said by {self.path}; change the function, or use --fix"
            )
        fixes = tuple(fixes)
        # not the base's `override`: whether a condition holds is up to the function
        base = replace(self.base, parameters=apply_overrides(self.parameters, (), fixes, self.method))
        base.validate()
        return replace(self, base=base, fixes=self.fixes + fixes)

    def with_modes(self, *, loss_thresholds: str = "sample", decision_thresholds: str = "solve") -> FunctionSpace:
        base = self.base.with_modes(loss_thresholds=loss_thresholds, decision_thresholds=decision_thresholds)
        space = replace(self, base=base)
        space.distributions()
        return space

    def for_classes(self, classes: Sequence[str]) -> FunctionSpace:
        return replace(self, base=self.base.for_classes(classes))

    def describe(self) -> list[dict[str, str]]:
        """Rows of `Space.describe`: what the function asks for, then everything else at its default."""
        asked = self.distributions()
        row = {"kind": "", "type": "function", "default": "", "when": "", "source": self.path}
        searchers = {name: "fixed" if domain.single() else "optuna" for name, domain in asked.items()}
        rows = [
            {"name": name, **row, "searched by": searchers[name], "range": str(domain)}
            for name, domain in asked.items()
        ]
        rest = [row for row in self.base.describe() if row["name"] not in asked]
        for row in rest:
            row["searched by"] = row["searched by"].replace("optuna", "fixed")
        return rows + rest

    def to_dict(self) -> dict[str, Any]:
        return {"function": self.path, "fixes": list(self.fixes), "code": self._code(), "base": self.base.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], method: type[Method]) -> FunctionSpace:
        """Imports the function again; SpaceError if it is gone or its code is no longer the recorded one."""
        base = Space.from_dict(data["base"], method)
        space = cls(path=data["function"], function=_imported(data["function"]), base=base, fixes=tuple(data["fixes"]))
        if space._code() != data["code"]:
            raise SpaceError(f"--space {space.path}: the function has changed since the study began; start a new study")
        return space

    def digest(self) -> str:
        text = f"{self.path}\n{self._code()}\n{self.fixes}\n{self.base.digest()}"
        return hashlib.sha256(text.encode()).hexdigest()

    def _of_classes(self, value: Value) -> Value:
        """The value; ValueError if it is by class and of others than the data's, once these are known."""
        if isinstance(value, Mapping) and self.classes and set(value) != set(self.classes):
            raise ValueError(f"given for {', '.join(value)}, expected each of {', '.join(self.classes)} once")
        return value

    def _code(self) -> str:
        """Digest of the function's source, as far as it can be read."""
        try:
            source = inspect.getsource(self.function)
        except (OSError, TypeError):
            source = self.path
        return hashlib.sha256(source.encode()).hexdigest()


def _holds(domain: BaseDistribution, value: Any) -> bool:
    try:
        return domain._contains(domain.to_internal_repr(value))
    except (TypeError, ValueError):
        return False


def _imported(path: str) -> Callable[[Any], Mapping[str, Any]]:
    module, _, name = path.partition(":")
    # console scripts leave out the working folder, where a user's module usually is
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        function = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise SpaceError(
            f"--space {path}: cannot be imported ({reason}); expected module:function, importable from this folder"
        ) from error
    if not callable(function):
        raise SpaceError(f"--space {path}: {name} is {type(function).__name__}, expected a function of an Optuna trial")
    return function  # type: ignore[no-any-return]
