"""A prepared study's folder, and a larger budget for one that is there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from raysearch._text import counted
from raysearch.errors import StorageError, StudyError
from raysearch.method import load_method
from raysearch.search._sampler import check_samples, most_trials
from raysearch.space import space_from_dict
from raysearch.study._request import parse_duration
from raysearch.study._split_file import write_parts
from raysearch.study._study import Study, create_study, is_disk_full, studies_root, unwritable
from raysearch.study._trial_folder import write_atomically

if TYPE_CHECKING:
    from raysearch.study._prepare import Prepared


def save_study(prepared: Prepared) -> Study:
    """Writes a prepared study's folder.

    Raises:
        StudyError: the name is taken, or the folder cannot be written.
        StorageError: the disk is full.
    """

    def write_split(study: Study) -> None:
        write_parts(study, prepared.collection, prepared.split, prepared.annotation, prepared.labelling)

    return create_study(prepared.config, studies_root(), prepared.name, write_split)


def extend(study: Study, *, samples: int | None = None, time_budget: str | None = None) -> Study:
    """A study with a larger budget, written to its study.yaml.

    Raises:
        UserError: nothing is searched, or the study's grid has fewer points.
        StudyError: fewer trials than before, or study.yaml cannot be written.
        StorageError: the disk is full.
    """
    budget = study.config.budget
    if samples is not None and samples < budget.samples:
        raise StudyError(
            f"--samples {samples}: study '{study.name}' was begun with {budget.samples}; give at least as many"
        )
    if samples is not None and samples > budget.samples:
        space = space_from_dict(study.config.space, load_method(study.config.method))
        check_samples(samples, most_trials(study.config.sampler, space))
    seconds = parse_duration(time_budget)
    wanted = replace(budget, samples=samples or budget.samples, seconds=seconds or budget.seconds)
    if wanted == budget:
        return study
    extended = Study(study.path, replace(study.config, budget=wanted))
    try:
        write_atomically(study.path / "study.yaml", extended.config.to_yaml().encode())
    except OSError as error:
        if is_disk_full(error):
            raise StorageError(
                f"the disk of {study.path} is full, so that study '{study.name}' keeps its budget of"
                f" {counted(budget.samples, 'trial')}; free some space, then give the same command again"
            ) from None
        raise unwritable(study.path, error) from None
    return extended
