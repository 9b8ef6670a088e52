"""Reads a study's trials while another process may be writing them."""

from __future__ import annotations

from raysearch.errors import StudyError
from raysearch.study._journal import quiet_optuna, read_storage
from raysearch.study._study import Study
from raysearch.study._trial_record import TrialRecord, begun_records


def read_records(study: Study) -> list[TrialRecord]:
    """Every trial of the study, in the order of their numbers; none if it never ran.

    Raises:
        StudyError: the study's ledger is damaged, or lost.
    """
    quiet_optuna()
    storage = read_storage(study.ledger, study.journal)
    begun = storage.get_all_studies()
    if not begun:
        refuse_lost(study)
        return []
    return begun_records(storage.get_all_trials(begun[0]._study_id, deepcopy=False))


def refuse_lost(study: Study) -> None:
    """StudyError if trials were begun of which no ledger tells."""
    if study.trial(0).config is not None:
        raise StudyError(
            f"{study.path / 'trials'} holds trials, and {study.ledger} knows none: restore the ledger or the journal"
            " beside it from a copy"
        )
