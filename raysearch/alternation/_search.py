"""Proposer ``search``: the next thresholds by Optuna's TPE from the history of thresholds and outcomes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from raysearch._random import derive
from raysearch.alternation._constrain import Outcome, Thresholds
from raysearch.alternation._reach import SLACK, from_log_odds, log_odds

if TYPE_CHECKING:
    from raysearch.method import LossThreshold

HISTORY = 100
"""Latest outcomes that it learns from: TPE takes longer with every one."""

STARTUP = 4
"""Outcomes before TPE models anything; random until then."""

REACH = math.log(SLACK)
"""Largest shift, in log odds within the domain, from where the trial started."""


def search_thresholds(
    start: Thresholds,
    specs: Sequence[LossThreshold],
    history: Sequence[Outcome],
    *,
    seed: int,
) -> Thresholds:
    """One shift of each threshold, the same for all classes: an outcome a round is too little to tell classes apart.

    A shift is in log odds within the domain, from `start`, by `REACH` at most: what
    differs by class goes on differing, and domains hold. Depends on `seed` and the history alone. Outcomes without a
    value teach nothing.
    """
    import optuna  # most of a second, and no other proposer needs it

    distributions = {spec.name: optuna.distributions.FloatDistribution(-REACH, REACH) for spec in specs}
    sampler = optuna.samplers.TPESampler(
        seed=derive(seed, len(history)) % 2**32, n_startup_trials=STARTUP, multivariate=True
    )
    verbosity = optuna.logging.get_verbosity()
    # creating a study logs a line, and this one is no study of the user's
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(sampler=sampler, direction="maximize")
        study.add_trials(
            optuna.trial.create_trial(
                params={spec.name: _shift(spec, outcome.thresholds, start) for spec in specs},
                distributions=dict(distributions),
                value=outcome.value,
            )
            for outcome in history[-HISTORY:]
            if math.isfinite(outcome.value)
        )
        shifts = study.ask(dict(distributions)).params
    finally:
        optuna.logging.set_verbosity(verbosity)
    return {
        spec.name: {
            label: from_log_odds(spec, log_odds(spec, value) + shifts[spec.name])
            for label, value in start[spec.name].items()
        }
        for spec in specs
    }


def _shift(spec: LossThreshold, thresholds: Thresholds, start: Thresholds) -> float:
    """Mean shift of the classes, as far as it can have been proposed."""
    moved = [
        log_odds(spec, thresholds[spec.name][label]) - log_odds(spec, value)
        for label, value in start[spec.name].items()
    ]
    return min(max(sum(moved) / len(moved), -REACH), REACH)
