"""Everything that defines a study, resolved: what study.yaml holds and what a study is rebuilt from."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from raysearch import __version__
from raysearch.errors import StudyError, nearest

DecisionMode = Literal["solve", "sample", "fixed"]
LossMode = Literal["alternate", "sample", "fixed"]
Proposer = Literal["criterion", "quantile", "search"]
Select = Literal["best", "last"]
SchedulerName = Literal["fifo", "asha", "hyperband", "pbt"]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a search may use."""

    samples: int
    """Trials."""
    epochs: int
    """Epochs a trial."""
    seconds: float | None = None
    """Wall-clock time over all runs of the study, or no limit."""
    trial_seconds: float | None = None
    """Working time of one trial, over all runs and pauses, or no limit."""
    step_seconds: float = 1800.0
    """After which a trial hangs of which no step and no batch was finished."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a trial gets: `workers` processes with `cpus` cores and `gpus` GPUs each; `slots` trials at a time."""

    workers: int = 1
    cpus: int = 1
    gpus: float = 0.0
    slots: int = 1


GRID = "grid"
"""Name of the sampler that draws nothing: every combination once."""

DEFAULTS = 0
"""Number of the first trial, which has the defaults but in a grid; see `StudyConfig.defaults`."""


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """A study as it was asked for, with every default filled in. Its name is that of its folder."""

    method: str
    preset: str
    space: dict[str, Any]
    """As `raysearch.space` writes it."""
    space_digest: str
    data: str
    """Canonical text of the data source."""
    fingerprint: str
    """Of the decoded data: the same data has the same one anywhere."""
    classes: list[str]
    view: str
    split: dict[str, Any]
    """``how``, ``seed``, ``digest``; the rows are in split.csv."""
    labelled: float | None
    """Share of the training images that keeps its labels, or above 1 their number; None hides nothing."""
    annotated: float | None
    """Share of the training images that keeps its regions, or above 1 their number; None hides nothing."""
    unannotated: float
    """Share of the other training images that is trained on."""
    metric: str
    direction: Literal["maximize", "minimize"]
    evidence: list[str]
    """Kinds of evidence that every evaluation collects."""
    select: Select
    decision_thresholds: DecisionMode
    loss_thresholds: LossMode
    alternate: Proposer | None
    """Who proposes loss thresholds between rounds; None unless they alternate."""
    round_epochs: int
    """Epochs of weight training between two proposals."""
    slack_weight: float
    """What the proposer ``criterion`` gives for a tighter pair of thresholds, tau - rho, beside the hit rate."""
    per_class: bool
    scheduler: SchedulerName
    mutable: list[str]
    """Searched numbers that population-based training may change during a training; empty without it."""
    sampler: str
    seed: int
    keep_checkpoints: int
    budget: Budget
    resources: Resources
    versions: dict[str, str]
    created: str
    changes: list[str] = dataclasses.field(default_factory=list)
    """What `resume` was told to do otherwise, and when."""

    @property
    def defaults(self) -> int | None:
        """Number of the trial that has the defaults; None of a grid, whose first point is one as any other.

        It is what a winner is compared with, keeps its weights for that, and no scheduler stops it: first epochs say
        little, and whoever may lose the defaults to chance ends below them. HyperBand did in 80 % of the searches of
        28 epochs, and in none with the defaults kept to their end.
        """
        return None if self.sampler == GRID else DEFAULTS

    @property
    def origin(self) -> str:
        """What the study's evidence says of where it comes from."""
        return f"{self.method} on {self.data} ({self.fingerprint[:12]})"

    def to_yaml(self) -> str:
        return str(yaml.safe_dump(dataclasses.asdict(self), sort_keys=False, width=120))

    @classmethod
    def from_yaml(cls, path: Path) -> StudyConfig:
        """Reads study.yaml.

        Raises:
            StudyError: the file cannot be read, is not YAML, or its keys are not those of a study.
        """
        try:
            raw = yaml.safe_load(path.read_text("utf-8"))
        except OSError as error:
            raise StudyError(f"{path} cannot be read ({error.strerror}); restore it from a copy") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise StudyError(f"{path} is not YAML ({str(error).splitlines()[0]}); restore it from a copy") from None
        names = [f.name for f in dataclasses.fields(cls)]
        if not isinstance(raw, dict):
            raise StudyError(f"{path} holds {type(raw).__name__}, expected the keys of a study; restore it from a copy")
        missing = [name for name in names if name not in raw]
        _refuse_other_version(path, raw, [*missing, *(key for key in raw if key not in names)])
        for key in raw:
            if key not in names:
                raise StudyError(f"{path}: unknown key '{key}': {nearest(str(key), names)}")
        if missing:
            raise StudyError(f"{path}: no key '{missing[0]}'; restore the file from a copy")
        try:
            return cls(**{**raw, "budget": Budget(**raw["budget"]), "resources": Resources(**raw["resources"])})
        except TypeError as error:
            _refuse_other_version(path, raw, ["budget or resources"])
            raise StudyError(
                f"{path}: budget or resources are damaged ({error}); restore the file from a copy"
            ) from None


def _refuse_other_version(path: Path, raw: dict[str, Any], differ: list[str]) -> None:
    """StudyError if keys differ because another version wrote them."""
    versions = raw.get("versions")
    theirs = versions.get("raysearch", __version__) if isinstance(versions, dict) else __version__
    if differ and theirs != __version__:
        raise StudyError(
            f"{path} was written by raysearch {theirs}, whose studies have other keys ({', '.join(differ[:3])}), and"
            f" this is {__version__}: only that version reads it"
        )
