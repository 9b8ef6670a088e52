"""One folder a process, on a short path; whose owner lives is left alone, and nothing else stays."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from raysearch.errors import ResourceError
from raysearch.study import _scratch
from raysearch.study._ray_processes import end_processes, killed_when_asked, processes_in
from raysearch.study._scratch import LONGEST, PREFIX, remove_abandoned, scratch_folder, usable_places


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short TMPDIR of the test's own: those of pytest are too long for a socket."""
    with tempfile.TemporaryDirectory(prefix="rs", dir="/tmp") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.delenv("RAY_TMPDIR", raising=False)
        yield Path(folder)


def abandoned(place: Path, name: str = "dead") -> Path:
    folder = place / f"{PREFIX}{name}"
    (folder / "ray" / "logs").mkdir(parents=True, mode=0o700)
    (folder / "ray" / "logs" / "raylet.out").write_text("x")
    (folder / "lock").touch()
    return folder


def begin(code: str, **more: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        env={**os.environ, **more},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_it_is_private_and_goes_with_all_that_is_in_it(place: Path) -> None:
    before = dict(os.environ)
    with scratch_folder() as folder:
        assert folder.parent == place
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert os.environ["TMPDIR"] == tempfile.gettempdir() == str(folder)
        (folder / "ray").mkdir()
        (folder / "ray" / "socket").touch()
        (folder / "latest").symlink_to(place)
    assert not list(place.iterdir())
    assert dict(os.environ) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_it_goes_whatever_ends_the_search(place: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), scratch_folder():
        raise error
    assert not list(place.iterdir())


def test_ray_can_put_its_sockets_into_it(place: Path) -> None:
    deepest = place / ("x" * (LONGEST - len(str(place)) - len(f"//{PREFIX}12345678")))
    deepest.mkdir()
    assert usable_places({"TMPDIR": str(deepest)})[0] == deepest
    socket = deepest / f"{PREFIX}12345678" / "ray" / "session_2026-11-28_21-27-30_714285_4194304/sockets/plasma_store"
    assert len(os.fsencode(socket)) == 107


def test_a_long_path_one_that_is_missing_and_one_that_cannot_be_written_are_passed_over(place: Path) -> None:
    (place / ("y" * 80)).mkdir()
    (place / "file").touch()
    for unusable in ("y" * 80, "missing", "file"):
        assert Path("/tmp") in usable_places({"TMPDIR": str(place / unusable)})[:1]
    assert usable_places({"TMPDIR": str(place), "RAY_TMPDIR": "/var/tmp"})[:2] == [Path("/var/tmp"), place]


def test_no_place_at_all_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_scratch, "usable_places", lambda environment: [])
    with pytest.raises(ResourceError, match=r"no folder for temporary files.*set TMPDIR") as refused, scratch_folder():
        pass
    assert "\n" not in str(refused.value)


def test_a_place_that_takes_no_folder_is_passed_over(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_scratch, "usable_places", lambda environment: [place / "missing", place])
    with scratch_folder() as folder:
        assert folder.parent == place


def test_what_a_killed_process_left_is_removed_at_the_next_start(place: Path) -> None:
    code = (
        "import sys\nfrom raysearch.study._scratch import scratch_folder\n"
        "with scratch_folder():\n    print('ready', flush=True)\n    sys.stdin.read()"
    )
    killed = begin(code)
    (left,) = place.iterdir()
    living = begin(code)
    assert len(list(place.iterdir())) == 2, "the first one lives"
    killed.kill()
    killed.wait()
    with scratch_folder() as folder:
        assert not left.exists()
        assert len(list(place.iterdir())) == 2
    assert folder not in place.iterdir()
    living.communicate()
    assert living.returncode == 0
    assert not list(place.iterdir())


def test_a_folder_whose_lock_is_held_stays(place: Path) -> None:
    folder = abandoned(place)
    with open(folder / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        remove_abandoned(place)
        assert (folder / "ray/logs/raylet.out").exists()
    remove_abandoned(place)
    assert not folder.exists()


def test_one_that_was_killed_before_it_had_a_lock_is_removed_if_it_is_empty(place: Path) -> None:
    (place / f"{PREFIX}empty").mkdir()
    (place / f"{PREFIX}full").mkdir()
    (place / f"{PREFIX}full" / "file").touch()
    remove_abandoned(place)
    assert [path.name for path in place.iterdir()] == [f"{PREFIX}full"], "nobody can tell whose that is"


def test_links_and_files_of_that_name_are_left_alone(place: Path) -> None:
    target = abandoned(place, "target").rename(place / "precious")
    (place / f"{PREFIX}link").symlink_to(target)
    (place / f"{PREFIX}file").touch()
    remove_abandoned(place)
    assert (target / "ray/logs/raylet.out").exists()
    assert (place / f"{PREFIX}link").is_symlink()
    assert (place / f"{PREFIX}file").exists()


def test_a_lock_that_is_a_link_is_not_followed(place: Path) -> None:
    folder = abandoned(place)
    (folder / "lock").unlink()
    (folder / "lock").symlink_to(place / "elsewhere")
    remove_abandoned(place)
    assert folder.exists()
    assert not (place / "elsewhere").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_folders_of_other_users_are_left_alone(place: Path) -> None:
    folder = abandoned(place)
    os.chown(folder, 12345, 12345)
    remove_abandoned(place)
    assert (folder / "ray/logs/raylet.out").exists()


def test_many_starts_at_once_never_take_each_other_s(place: Path) -> None:
    everybody = threading.Barrier(8)
    for number in range(20):
        abandoned(place, str(number))

    def start(_: int) -> Path:
        remove_abandoned(place)
        folder, lock = _scratch._make([place])
        everybody.wait()
        remove_abandoned(place)
        everybody.wait()
        assert (folder / "lock").exists()
        with open(lock):
            _scratch._remove(folder)
        return folder

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(start, range(8)))) == 8
    assert not list(place.iterdir())


def test_processes_that_belong_to_it_are_ended_and_no_others(place: Path) -> None:
    code = "print('ready', flush=True)\nimport sys; sys.stdin.read()"
    folder = abandoned(place)
    other = abandoned(place, "other")
    ours, theirs = begin(code, TMPDIR=str(folder)), begin(code, TMPDIR=str(other))
    with open(folder / "ray/logs/raylet.out") as log:
        reading = subprocess.Popen(["sleep", "600"], stdin=log)
    try:
        assert processes_in(folder) == [ours.pid]
        end_processes(folder)
        assert ours.wait(60) == -signal.SIGKILL
        assert theirs.poll() is None
        assert reading.poll() is None, "somebody looks at a log"
    finally:
        for process in (ours, theirs, reading):
            process.kill()
            process.communicate()


def test_those_that_are_deaf_are_killed_when_ray_asks_them_to_end(place: Path) -> None:
    code = (
        "import signal, sys\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
        "print('ready', flush=True)\nsys.stdin.read()"
    )
    asked, other = begin(code, TMPDIR=str(place)), begin(code, TMPDIR=str(place))
    stranger = begin(code, TMPDIR="/elsewhere")
    with killed_when_asked(place):
        asked.terminate()
        stranger.terminate()
        assert asked.wait(60) == -signal.SIGKILL
    assert (other.poll(), stranger.poll()) == (None, None)
    for process in (asked, other, stranger):
        process.kill()
        process.communicate()


def test_ray_s_agents_belong_to_it_by_their_logs(place: Path) -> None:
    """They write their title over their environment."""
    folder = abandoned(place)
    with open(folder / "ray/logs/raylet.out") as log:
        agent = subprocess.Popen(
            ["ray::DashboardAgent", "-c", "import sys; sys.stdin.read()"],
            executable=sys.executable,
            stdin=subprocess.PIPE,
            stderr=log,
        )
    while not psutil.Process(agent.pid).cmdline()[0].startswith("ray::"):
        threading.Event().wait(0.01)
    remove_abandoned(place)
    assert agent.wait(60) == -signal.SIGKILL
    assert not folder.exists()
