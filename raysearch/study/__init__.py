"""A study: its folder, its records, its preparation and its run.

Names are resolved when they are asked for: a trial's thin process imports its folder from here, and no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raysearch.study._against_trivial import Beside, beside_of, beside_trivial
    from raysearch.study._book import Book
    from raysearch.study._by_class import plain_by_class
    from raysearch.study._cluster import Cluster, parse_address
    from raysearch.study._config import Budget, Resources, StudyConfig
    from raysearch.study._data import task_of
    from raysearch.study._extend import Changes, extend
    from raysearch.study._mean_over import Repeats, mean_over
    from raysearch.study._optimum import Optimum
    from raysearch.study._prepare import Prepared, prepare
    from raysearch.study._records import read_records
    from raysearch.study._request import Request
    from raysearch.study._resources import Machine, fit, this_machine
    from raysearch.study._rethreshold import Rethresholded, Table, rethreshold
    from raysearch.study._run import run_study
    from raysearch.study._save import save_study
    from raysearch.study._spent import more_time, time_spent
    from raysearch.study._split_file import read_parts
    from raysearch.study._study import Study, list_studies, open_study, studies_root
    from raysearch.study._trial_record import TrialRecord, best_of
    from raysearch.study._winner import Corrected, corrected_winner, winner_json, winner_lines

_WHERE = {
    "_against_trivial": ("Beside", "beside_of", "beside_trivial"),
    "_book": ("Book",),
    "_trial_record": ("TrialRecord", "best_of"),
    "_by_class": ("plain_by_class",),
    "_cluster": ("Cluster", "parse_address"),
    "_config": ("Budget", "Resources", "StudyConfig"),
    "_data": ("task_of",),
    "_extend": ("Changes", "extend"),
    "_mean_over": ("Repeats", "mean_over"),
    "_prepare": ("Prepared", "prepare"),
    "_records": ("read_records",),
    "_request": ("Request",),
    "_resources": ("Machine", "fit", "this_machine"),
    "_optimum": ("Optimum",),
    "_rethreshold": ("Rethresholded", "Table", "rethreshold"),
    "_run": ("run_study",),
    "_save": ("save_study",),
    "_spent": ("more_time", "time_spent"),
    "_split_file": ("read_parts",),
    "_study": ("Study", "list_studies", "open_study", "studies_root"),
    "_winner": ("Corrected", "corrected_winner", "winner_json", "winner_lines"),
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [
    "Beside",
    "Book",
    "Budget",
    "Changes",
    "Cluster",
    "Corrected",
    "Machine",
    "Optimum",
    "Prepared",
    "Repeats",
    "Request",
    "Resources",
    "Rethresholded",
    "Study",
    "StudyConfig",
    "Table",
    "TrialRecord",
    "beside_of",
    "beside_trivial",
    "best_of",
    "corrected_winner",
    "extend",
    "fit",
    "list_studies",
    "mean_over",
    "more_time",
    "open_study",
    "parse_address",
    "plain_by_class",
    "prepare",
    "read_parts",
    "read_records",
    "rethreshold",
    "run_study",
    "save_study",
    "studies_root",
    "task_of",
    "this_machine",
    "time_spent",
    "winner_json",
    "winner_lines",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(name)
    return getattr(importlib.import_module(f"raysearch.study.{_MODULE_OF[name]}"), name)
