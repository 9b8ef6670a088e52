"""How a run ends, without what it runs on."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from search.simulator import Log
from search.toy import toy_study

from raysearch.errors import DataError, RaysearchError, StorageError
from raysearch.search._events import TIME_IS_UP, Events, Stop
from raysearch.study import _run
from raysearch.study._book import Book
from raysearch.study._cluster import Cluster
from raysearch.study._study import Study
from study.test_book import epoch

Search = Callable[[Book, Events], None]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[[Study, Search], Stop | None]:
    def run(study: Study, search: Search) -> Stop | None:
        monkeypatch.setattr(_run, "_search", lambda study, cluster, book, events, left: search(book, events))
        return _run.run_study(study, Cluster(), lambda book: Log())

    return run


def nothing(book: Book, events: Events) -> None:
    pytest.fail("a search began")


def test_time_that_is_used_up_starts_nothing(tmp_path: Path, run: Any) -> None:
    study = toy_study(tmp_path, seconds=6.0)
    book = Book(study)
    number = book.next().number
    for at in (1, 2):
        book.report(number, epoch(study, number, 0.5, at=at, finished=False))
    assert run(study, nothing).kind == "time"


def test_only_what_is_left_of_the_time_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float | None] = []
    monkeypatch.setattr(_run, "_search", lambda study, cluster, book, events, left: given.append(left))
    study = toy_study(tmp_path, seconds=100.0)
    book = Book(study)
    number = book.next().number
    book.report(number, epoch(study, number, 0.5, finished=False))
    assert _run.run_study(study, Cluster(), lambda book: Log()) == Stop("time", TIME_IS_UP)
    assert given == [pytest.approx(97.0)]


def test_a_finished_study_starts_nothing(tmp_path: Path, run: Any) -> None:
    study = toy_study(tmp_path, samples=1)
    book = Book(study)
    number = book.next().number
    book.report(number, epoch(study, number, 0.5))
    book.close(number, "complete")
    assert run(study, nothing) is None


def test_an_interrupt_is_a_stop(tmp_path: Path, run: Any) -> None:
    def search(book: Book, events: Events) -> None:
        raise KeyboardInterrupt

    assert run(toy_study(tmp_path), search).kind == "interrupt"


def test_an_interrupt_at_the_very_end_is_a_stop_too(tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def close(events: Events) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Events, "close", close)
    assert run(toy_study(tmp_path), lambda book, events: None).kind == "interrupt"


@pytest.mark.parametrize(
    ("number", "kind", "message"),
    [
        (errno.ENOSPC, StorageError, "is full; what was finished is safe"),
        (errno.EIO, StorageError, r"it broke; 'raysearch resume .*toy' goes on"),
        (None, RaysearchError, r"it broke; 'raysearch resume .*toy' goes on"),
    ],
)
def test_a_fatal_end_is_an_error(
    tmp_path: Path, run: Any, number: int | None, kind: type[Exception], message: str
) -> None:
    def search(book: Book, events: Events) -> None:
        events.stop = Stop("fatal", "it broke", number)
        raise KeyboardInterrupt

    with pytest.raises(kind, match=message):
        run(toy_study(tmp_path), search)


def test_a_study_does_not_go_on_with_other_data(tmp_path: Path) -> None:
    """The rows of its split would mean other images; refused before Ray starts."""
    study = toy_study(tmp_path, data="phantom:images=16,size=32")
    with pytest.raises(DataError, match="phantom:images=16,size=32 has changed since the study was made"):
        _run.run_study(study, Cluster(), lambda book: Log())
