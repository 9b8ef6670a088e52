"""What trials of a population have taken over from one another: ``exchanges.json`` of a study."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from raysearch.alternation import Thresholds, last_kept, rounds_of
from raysearch.errors import StudyError
from raysearch.method import load_method
from raysearch.space import settings_of, space_from_dict
from raysearch.study._study import Study
from raysearch.study._trial_folder import write_atomically
from raysearch.study._upstream import shared_work

Rows = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Move:
    """What a trial took over.

    Attributes:
        to: number of the trial.
        donor: number of the trial that its weights and settings came from.
        params: that it trains with from then on, under their names at Optuna.
        loss_thresholds: kept ones of the donor, where they alternate.
    """

    to: int
    donor: int
    params: dict[str, Any]
    loss_thresholds: Thresholds | None = None


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A comparison of trials, and what came of it.

    Attributes:
        epoch: after which they were compared.
        trials: numbers of all that were compared.
    """

    epoch: int
    trials: tuple[int, ...]
    moves: tuple[Move, ...]


class Exchanges:
    """All exchanges of a study. The file is written before any of the trials goes on, so what it holds has happened,
    and what it does not hold can be decided again."""

    def __init__(self, study: Study) -> None:
        self._method = load_method(study.config.method)
        self.space = space_from_dict(study.config.space, self._method)
        self._study = study
        self._path = study.path / "exchanges.json"
        self._all = _read(self._path)
        self._done = {(number, one.epoch) for one in self._all for number in one.trials}

    def done(self, number: int, epoch: int) -> bool:
        """Whether a trial has been compared after an epoch."""
        return (number, epoch) in self._done

    def last(self, number: int) -> tuple[int, Move] | None:
        """What a trial took over last, and after which epoch."""
        return next(((one.epoch, move) for one in reversed(self._all) for move in one.moves if move.to == number), None)

    def renewed(self, number: int) -> dict[str, Any]:
        """Entries of the trainable's config of a trial that has taken something over."""
        last = self.last(number)
        if last is None:
            return {}
        epoch, move = last
        config, thresholds = settings_of(self.space, move.params)
        exploited = {
            "from": move.donor,
            "epoch": epoch,
            "params": move.params,
            "loss_thresholds": move.loss_thresholds,
        }
        works = shared_work(self._method, config, self._study.config.seed)
        return {"config": config, "thresholds": thresholds, "upstream": works, "exploited": exploited}

    def record(self, epoch: int, trials: Sequence[int], moves: Sequence[Move], rows: Callable[[int], Rows]) -> None:
        """Hands the donors' weights over and writes what was decided.

        Args:
            rows: of an open trial.
        """
        one = Exchange(
            epoch=epoch, trials=tuple(trials), moves=tuple(self._hand_over(move, rows(move.donor)) for move in moves)
        )
        text = json.dumps([asdict(exchange) for exchange in (*self._all, one)], indent=1)
        write_atomically(self._path, text.encode())
        self._all.append(one)
        self._done |= {(number, epoch) for number in trials}

    def _hand_over(self, move: Move, rows: Rows) -> Move:
        """Links the donor's weights into the folder of the trial: the donor trains on, and writes others.

        Of a donor whose loss thresholds alternate these are the weights and thresholds that it would go on from itself.
        """
        donor, folder = self._study.trial(move.donor), self._study.trial(move.to)
        if "alternation" not in rows[-1]:
            folder.adopt(donor.last)
            return move
        rounds = rounds_of(rows)
        kept = last_kept(rounds)
        assert kept is not None  # they are compared at the end of a round, and the first one is kept
        folder.adopt(donor.last if rounds[-1].kept else donor.kept)
        return Move(to=move.to, donor=move.donor, params=move.params, loss_thresholds=kept.thresholds)


def _read(path: Path) -> list[Exchange]:
    try:
        loaded = json.loads(path.read_bytes())
        return [
            Exchange(
                epoch=one["epoch"], trials=tuple(one["trials"]), moves=tuple(Move(**move) for move in one["moves"])
            )
            for one in loaded
        ]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:100]
        raise StudyError(
            f"{path} is damaged ({type(error).__name__}: {reason}): expected a list of exchanges; restore it from"
            " a copy"
        ) from None
