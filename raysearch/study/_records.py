"""Reads a study's trials while another process may be writing them."""

from __future__ import annotations

import optuna

from raysearch.search._journal import quiet_optuna, read_journal
from raysearch.study._book import TrialRecord, record_of
from raysearch.study._study import Study


def read_records(study: Study) -> list[TrialRecord]:
    """Every trial of the study, in the order of their numbers; none if it never ran."""
    quiet_optuna()
    if not study.journal.exists():
        return []
    storage = read_journal(study.journal)
    if study.config.name not in optuna.get_all_study_names(storage):
        return []
    trials = optuna.load_study(study_name=study.config.name, storage=storage).get_trials(deepcopy=False)
    return [record_of(t) for t in trials if t.state != optuna.trial.TrialState.WAITING]
