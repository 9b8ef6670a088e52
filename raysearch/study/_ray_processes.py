"""Processes that Ray has started in a folder of ours: told from all others, and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import psutil

END_SECONDS = 10.0
"""For killed processes to be gone. One that waits for a disk may take longer; it is left to the next start."""


def processes_in(folder: Path) -> list[int]:
    """Those of this user whose temporary files are in the folder, or that are Ray's and write its logs there. Ray's
    agents write their title over their environment, hence the second."""
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with contextlib.suppress(psutil.Error, OSError):
            if process.uids().effective == os.geteuid() and _belongs(process, folder):
                found.append(process.pid)
    return found


def _belongs(process: psutil.Process, folder: Path) -> bool:
    if process.environ().get("TMPDIR") == str(folder):
        return True
    if not " ".join(process.cmdline()[:1]).startswith("ray::"):
        return False
    return any(_inside(f"/proc/{process.pid}/fd/{name}", folder) for name in os.listdir(f"/proc/{process.pid}/fd"))


def _inside(link: str, folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.readlink(link).startswith(f"{folder}/")
    return False


def end_processes(folder: Path) -> None:
    """Kills them and waits until they are gone: some start others as long as they live."""
    deadline = time.monotonic() + END_SECONDS
    while found := processes_in(folder):
        for number in found:
            _kill(number, folder)
        if time.monotonic() > deadline:
            return
        time.sleep(0.05)


def end_helpers(folder: Path) -> None:
    """Kills Ray's processes that serve nobody but the terminal and the dashboard: Ray would wait a second for each."""
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error, OSError):
            if child.name() not in ("raylet", "gcs_server") and _belongs(child, folder):
                _kill(child.pid, folder)


def _kill(number: int, folder: Path) -> None:
    """Through a descriptor, so that the number cannot have become another process's between the look and the blow."""
    with contextlib.suppress(psutil.Error, OSError):
        descriptor = os.pidfd_open(number)
        try:
            if _belongs(psutil.Process(number), folder):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        finally:
            os.close(descriptor)
