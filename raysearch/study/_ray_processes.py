"""Processes that Ray has started in a folder of ours: told from all others, and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

LOOK_SECONDS = 0.05
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
        time.sleep(LOOK_SECONDS)


@contextlib.contextmanager
def killed_when_asked(folder: Path) -> Iterator[None]:
    """Within it, children that are asked to end are killed. Ray sends SIGTERM, which ours are deaf to lest they end
    before we do, and waits a second for each of them."""
    over = threading.Event()

    def loop() -> None:
        while not over.wait(LOOK_SECONDS):
            with contextlib.suppress(psutil.Error):
                for child in psutil.Process().children():
                    if _asked(child.pid):
                        _kill(child.pid, folder)

    thread = threading.Thread(target=loop, name="ray-end", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _asked(number: int) -> bool:
    """Whether SIGTERM waits to be heard."""
    try:
        status = Path(f"/proc/{number}/status").read_text()
    except OSError:
        return False
    return any(
        int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1
        for line in status.splitlines()
        if line.startswith(("ShdPnd:", "SigPnd:"))
    )


def _kill(number: int, folder: Path) -> None:
    """Through a descriptor, so that the number cannot have become another process's between the look and the blow."""
    with contextlib.suppress(psutil.Error, OSError):
        descriptor = os.pidfd_open(number)
        try:
            if _belongs(psutil.Process(number), folder):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        finally:
            os.close(descriptor)
