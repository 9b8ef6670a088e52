"""A study's folder appears whole, under a name that no other process has taken."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from search.toy import toy_study

from raysearch.errors import StorageError, StudyError
from raysearch.study._study import Study, create_study, list_studies


def test_starts_at_the_same_moment_never_share_a_folder(tmp_path: Path) -> None:
    config = toy_study(tmp_path, "first").config
    together = threading.Barrier(8)
    made: list[Study] = []

    def start() -> None:
        together.wait()
        made.append(create_study(config, tmp_path, fill=lambda study: (study.path / "split.csv").touch()))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(study.name for study in made) == [f"Toy-{number}" for number in range(1, 9)]
    assert all((study.path / "split.csv").exists() for study in made)
    assert len(list_studies(tmp_path)) == 9
    assert not list(tmp_path.glob(".*"))


def test_one_of_two_gets_the_name(tmp_path: Path) -> None:
    config = toy_study(tmp_path, "taken").config
    with pytest.raises(StudyError, match=r"study 'taken' exists .* 'raysearch resume .*taken' goes on with it"):
        create_study(config, tmp_path, "taken")
    (tmp_path / "file").touch()
    with pytest.raises(StudyError, match=r"file exists and is no study"):
        create_study(config, tmp_path, "file")
    (tmp_path / "empty").mkdir()
    assert create_study(config, tmp_path, "empty").path == tmp_path / "empty"


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    config = toy_study(tmp_path, "one").config

    def full(study: Study) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="is full"):
        create_study(config, tmp_path, "two", full)
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_what_a_killed_process_left_is_removed_in_time(tmp_path: Path) -> None:
    config = toy_study(tmp_path, "one").config
    for name, age in ((".new-old", 7200), (".new-young", 60)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "study.yaml").touch()
        stamp = os.stat(tmp_path).st_mtime - age
        os.utime(tmp_path / name, (stamp, stamp))
    create_study(config, tmp_path, "two")
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two", ".new-young"}
    assert [path.name for path in list_studies(tmp_path)] == ["one", "two"]
