"""What stops a process, in what words and with what exit code. No process here starts Ray."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from raysearch import _signals
from raysearch._caches import keep_compiled_code

BODY = """
import os, signal, subprocess, sys, threading, time
from raysearch import _signals
_signals.catch()
def ready():
    print("ready", flush=True)
def wait():
    ready()
    time.sleep(60)
    sys.exit("nothing came")
"""

STOPPED = """
except KeyboardInterrupt:
    print(_signals.farewell(), flush=True)
    sys.exit(_signals.exit_code())
"""


def begin(body: str, *, ignored: tuple[int, ...] = (), **more: Any) -> subprocess.Popen[str]:
    """Runs Python code until it says that it is ready."""

    def dispositions() -> None:
        for number in _signals.STOPPING:
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)

    process = subprocess.Popen(
        [sys.executable, "-c", BODY + body],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=dispositions,
        start_new_session=True,
        **more,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line == "ready\n", process.communicate()
    return process


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in out + err
    assert "ignored" not in err
    return process.returncode, out.strip()


@pytest.mark.parametrize("number", _signals.STOPPING)
def test_each_of_them_stops_as_ctrl_c_does(number: signal.Signals) -> None:
    process = begin(f"try: wait(){STOPPED}")
    process.send_signal(number)
    words = "interrupted" if number == signal.SIGINT else f"stopped by {number.name}"
    assert end(process) == (128 + number, words)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_what_was_ignored_stays_ignored(number: signal.Signals) -> None:
    process = begin(f"try: wait(){STOPPED}", ignored=(number,))
    process.send_signal(number)
    process.send_signal(signal.SIGUSR1)
    assert end(process) == (128 + signal.SIGUSR1, "stopped by SIGUSR1")


def test_a_job_in_the_background_of_a_script_hears_a_kill() -> None:
    process = begin(f"try: wait(){STOPPED}", ignored=(signal.SIGINT, signal.SIGQUIT))
    process.send_signal(signal.SIGQUIT)
    process.send_signal(signal.SIGINT)
    assert end(process) == (130, "interrupted")


def test_handlers_of_libraries_are_not_asked() -> None:
    """Neither those that they set in Python nor what compiled code makes of them."""
    body = """
import ctypes
signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
ctypes.CDLL(None).signal(int(signal.SIGTERM), None)
signal.signal(signal.SIGUSR1, signal.SIG_DFL)
try: wait()"""
    for number in (signal.SIGTERM, signal.SIGUSR1):
        process = begin(body + STOPPED)
        process.send_signal(number)
        assert end(process)[0] == 128 + number


def test_an_interrupt_that_falls_into_a_destructor_is_raised_again() -> None:
    body = """
class Slow:
    def __del__(self):
        wait()
try:
    Slow()
    time.sleep(60)"""
    process = begin(body + STOPPED)
    process.send_signal(signal.SIGTERM)
    assert end(process) == (143, "stopped by SIGTERM")


def test_what_is_deferred_is_raised_at_the_end() -> None:
    body = """
try:
    with _signals.deferred():
        ready()
        while _signals.exit_code() == 130:
            time.sleep(0.01)
        print("done", flush=True)
    print("never")"""
    process = begin(body + STOPPED)
    process.send_signal(signal.SIGTERM)
    assert end(process) == (143, "done\nstopped by SIGTERM")


CLEANING = """
def clean_up():
    print("cleaned", flush=True)
with _signals.at_once(clean_up):
    try:
        wait()
    except KeyboardInterrupt:
        print("stopping", flush=True)
        {}
    print("ended", flush=True)
    sys.exit(_signals.exit_code())
"""


def test_the_second_one_changes_nothing() -> None:
    process = begin(CLEANING.format("sys.stdin.readline()"), stdin=subprocess.PIPE)
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    assert process.stdout.readline() == "stopping\n"
    threading.Event().wait(2 * _signals.SAME_SECONDS)
    process.send_signal(signal.SIGINT)
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert end(process) == (143, "ended")


def test_the_third_one_ends_even_a_process_that_hangs() -> None:
    hanging = "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)); time.sleep(600)"
    process = begin(CLEANING.format(hanging))
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    assert process.stdout.readline() == "stopping\n"
    for _ in range(2):
        threading.Event().wait(2 * _signals.SAME_SECONDS)
        process.send_signal(signal.SIGINT)
    assert end(process) == (143, "cleaned")


def test_one_request_that_comes_several_times_is_one() -> None:
    process = begin(CLEANING.format("time.sleep(1)"))
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        process.send_signal(number)
    code, out = end(process)
    assert code > 128
    assert out == "stopping\nended"


def test_processes_that_it_started_are_its_own_to_end(tmp_path: Path) -> None:
    """All get the signal, and those that serve it live on until it says so."""
    body = """
child = subprocess.Popen(["sleep", "60"])
try: wait()
except KeyboardInterrupt:
    time.sleep(0.5)
    print(child.poll())
    child.kill()
    sys.exit(_signals.exit_code())"""
    process = begin(body)
    os.killpg(process.pid, signal.SIGTERM)
    assert end(process) == (143, "None")


def test_those_that_a_worker_forks_hear_them() -> None:
    """A worker was started by a process that blocks them."""
    code = """
import multiprocessing, time
from raysearch import _signals
_signals.unblock_in_children()
child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
child.start()
child.terminate()
child.join()
print(child.exitcode)"""
    process = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, _signals.STOPPING),
    )
    assert process.stdout == "-15\n", process.stderr


def test_nothing_counts_once_all_is_said(tmp_path: Path) -> None:
    process = begin("_signals.ended()\nready()\nsys.stdin.readline()", stdin=subprocess.PIPE)
    for _ in range(4):
        process.send_signal(signal.SIGTERM)
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert end(process)[0] == 0


def test_compiled_code_is_kept_in_the_cache_and_not_among_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "file" / "cache"))
    keep_compiled_code()
    assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ, "torch would not import where it cannot make the folder"
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    keep_compiled_code()
    assert os.environ.pop("TORCHINDUCTOR_CACHE_DIR") == str(tmp_path / "cache" / "torchinductor")
    assert not (tmp_path / "cache").exists(), "nothing is made before it is needed"


SLOW_METHOD = """
import time
from pathlib import Path
Path("begun").touch()
time.sleep(60)
"""


@pytest.mark.parametrize(("command", "number"), [("tune", signal.SIGTERM), ("spaces", signal.SIGHUP)])
def test_a_command_ends_with_one_line(command: str, number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW_METHOD)
    method = ("slow:Method",) if command == "spaces" else ("--method", "slow:Method")
    process = subprocess.Popen(
        [sys.executable, "-m", "raysearch", command, *method],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(_signals.__file__).parents[1])},
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )
    while not (tmp_path / "begun").exists():
        assert process.poll() is None, process.communicate()
        threading.Event().wait(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err.strip()) == (128 + number, "", f"raysearch: stopped by {number.name}")
    assert not list(tmp_path.glob("studies/*"))
