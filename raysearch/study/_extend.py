"""Another budget or other resources for a study that is there. Without torch: what cannot go on here is said soon."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from raysearch._text import counted, duration
from raysearch.errors import StorageError, StudyError, UserError
from raysearch.study._config import Budget, Resources, StudyConfig
from raysearch.study._elsewhere import check_fit
from raysearch.study._request import parse_duration
from raysearch.study._resources import Machine
from raysearch.study._spent import more_time, time_spent
from raysearch.study._study import Study, is_disk_full, unwritable
from raysearch.study._trial_folder import write_atomically


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What `resume` may change of a study; None leaves it as it is."""

    samples: int | None = None
    time_budget: str | None = None
    trial_time: str | None = None
    step_time: str | None = None
    workers_per_trial: int | None = None
    cpus_per_worker: int | None = None
    gpus_per_worker: float | None = None
    slots: int | None = None


def extend(study: Study, changes: Changes, machine: Machine) -> Study:
    """The study with these changes, written to its study.yaml, where there is still something to be done on `machine`.

    Raises:
        UserError: nothing is searched, or the study's grid has fewer points.
        StudyError: a smaller budget than what was given or is spent, another process runs the study, or study.yaml
            cannot be written.
        ResourceError: what the study needs is not there.
        StorageError: the disk is full.
    """
    budget = _budget(study, changes)
    wanted = replace(study.config, budget=budget, resources=_resources(study, changes, budget.samples))
    with study.hold():
        try:
            check_fit(study, wanted.resources, machine)
            _check_time(study, budget)
        except UserError:
            if not _all_done(study, budget.samples):
                raise
        told = differences(study.config, wanted)
        if not told:
            return study
        _check_samples(study.config, budget.samples)
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        extended = Study(study.path, replace(wanted, changes=[*wanted.changes, f"{when}: {', '.join(told)}"]))
        try:
            write_atomically(study.path / "study.yaml", extended.config.to_yaml().encode())
        except OSError as error:
            if is_disk_full(error):
                raise StorageError(
                    f"the disk of {study.path} is full, so that study '{study.name}' keeps its budget of"
                    f" {counted(study.config.budget.samples, 'trial')}; free some space, then give the same command"
                    " again"
                ) from None
            raise unwritable(study.path, error) from None
    return extended


_OPTIONS = {
    "samples": "--samples",
    "seconds": "--time",
    "trial_seconds": "--trial-time",
    "step_seconds": "--step-time",
    "workers": "--workers-per-trial",
    "cpus": "--cpus-per-worker",
    "gpus": "--gpus-per-worker",
    "slots": "--slots",
}
"""Of `resume`, by what they change."""


def differences(before: StudyConfig, after: StudyConfig) -> list[str]:
    """What of budget and resources is no longer what it was, in the words of the options."""
    old = {**vars(before.budget), **vars(before.resources)}
    new = {**vars(after.budget), **vars(after.resources)}
    return [
        f"{option} {_said(name, old[name])} -> {_said(name, new[name])}"
        for name, option in _OPTIONS.items()
        if old[name] != new[name]
    ]


def _said(name: str, value: float | None) -> str:
    if value is None:
        return "no limit"
    return duration(value) if name.endswith("seconds") else f"{value:g}"


def _budget(study: Study, changes: Changes) -> Budget:
    budget, samples = study.config.budget, changes.samples
    if samples is not None and samples < budget.samples:
        raise StudyError(
            f"--samples {samples}: study '{study.name}' was begun with {budget.samples}; give at least as many"
        )
    return replace(
        budget,
        samples=samples or budget.samples,
        seconds=parse_duration(changes.time_budget) or budget.seconds,
        trial_seconds=parse_duration(changes.trial_time, "--trial-time") or budget.trial_seconds,
        step_seconds=parse_duration(changes.step_time, "--step-time") or budget.step_seconds,
    )


def _check_samples(config: StudyConfig, samples: int) -> None:
    """UserError if there is nothing to draw so many trials from."""
    if samples == config.budget.samples:
        return
    from raysearch.method import load_method
    from raysearch.search._sampler import check_samples, most_trials
    from raysearch.space import space_from_dict

    check_samples(samples, most_trials(config.sampler, space_from_dict(config.space, load_method(config.method))))


def _resources(study: Study, changes: Changes, samples: int) -> Resources:
    have = study.config.resources
    return Resources(
        workers=changes.workers_per_trial or have.workers,
        cpus=changes.cpus_per_worker or have.cpus,
        gpus=have.gpus if changes.gpus_per_worker is None else changes.gpus_per_worker,
        slots=have.slots if changes.slots is None else min(changes.slots, samples),
    )


def _check_time(study: Study, budget: Budget) -> None:
    """StudyError if no time is left."""
    if budget.seconds is None:
        return
    spent = time_spent(study)
    if spent < budget.seconds:
        return
    raise StudyError(
        f"the time of study '{study.name}' is used up: {duration(spent)} of --time {duration(budget.seconds)}; give it"
        f" more: 'raysearch resume {study.typed} --time {duration(more_time(budget.seconds, spent))}'"
    )


def _all_done(study: Study, samples: int) -> bool:
    """Whether every trial has ended."""
    from raysearch.study._records import read_records

    records = read_records(study)
    return len(records) >= samples and all(record.state != "running" for record in records)
