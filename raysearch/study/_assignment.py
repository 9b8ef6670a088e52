"""What a study's workers would train and evaluate, from a study that is not written yet: for this process."""

from __future__ import annotations

import numpy as np

from raysearch.data import guard
from raysearch.study._prepare import Prepared
from raysearch.study._workload_spec import rule_fields
from raysearch.training import Assignment, Rule


def assignment(prepared: Prepared) -> Assignment:
    """As `Workload` makes it; images of the test split are kept from it."""
    train, tuning = prepared.annotation.train, prepared.split.tuning
    return Assignment(
        collection=guard(prepared.collection, np.concatenate([train, tuning])),
        train=train,
        tuning=tuning,
        annotated=prepared.annotation.annotated,
        labelled=prepared.labelling.labelled,
        seed=prepared.config.seed,
        epochs=prepared.config.budget.epochs,
        rule=Rule(**rule_fields(prepared.config)),
    )
