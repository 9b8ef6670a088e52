"""A Ray cluster of several nodes on this machine, behind a token, that ends with what it started and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
STATE = """
import json, sys, ray
from ray._private.state import actors
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
groups = ray.util.placement_group_table().values()
print(json.dumps({
    "nodes": [n["NodeID"] for n in ray.nodes() if n["Alive"]],
    "total": ray.cluster_resources().get("CPU", 0),
    "free": ray.available_resources().get("CPU", 0),
    "actors": [(a["ActorClassName"], a["Address"]["NodeID"]) for a in actors().values() if a["State"] == "ALIVE"],
    "groups": sum(g["state"] != "REMOVED" for g in groups),
    "used": sorted({node for g in groups for node in g["bundles_to_node_id"].values() if node}),
}))
"""


class LocalCluster:
    """Nodes are added with `start`; `close` kills them. Its token is its own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rs-", dir="/tmp"))  # paths of sockets are at most 107 bytes long
        self.token = self.folder / "token"
        self.token.touch(mode=0o600)
        self.token.write_text(os.urandom(32).hex())
        with socket.socket() as listener:
            listener.bind(("", 0))
            self.port: int = listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._groups: list[int] = []

    @property
    def environment(self) -> dict[str, str]:
        """Of a process that may join."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        return {
            **kept,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.token),
            "RAY_USAGE_STATS_ENABLED": "0",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
        }

    def start(self, *options: str, cpus: int, **environment: str) -> None:
        """Starts a node: the head, then others."""
        place = ["--head", f"--port={self.port}", "--include-dashboard=false"]
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "ray.scripts.scripts", "start"),
                *([f"--address={self.address}"] if self._groups else place),
                *(f"--temp-dir={self.folder / str(len(self._groups))}", f"--num-cpus={cpus}"),
                *("--object-store-memory=100000000", "--disable-usage-stats", *options),
            ],
            env={**self.environment, **environment},
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._groups.append(process.pid)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output

    def state(self) -> dict[str, Any]:
        answer = subprocess.run(
            [sys.executable, "-c", STATE, self.address],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        state: dict[str, Any] = json.loads(answer.stdout)
        return state

    def kill_node(self, node: str) -> None:
        """Takes a node away at once, as a cloud takes back a spot machine."""
        for process in psutil.process_iter(["cmdline"]):
            if f"--node_id={node}" in (process.info["cmdline"] or []):
                group = os.getpgid(process.pid)
                assert group in self._groups
                _kill(group)
                return
        raise AssertionError(f"no raylet {node}")

    def close(self) -> None:
        for group in reversed(self._groups):
            _kill(group)
        shutil.rmtree(self.folder, ignore_errors=True)


def _kill(group: int) -> None:
    """Kills what a `ray start` left running, and the workers below it, which have process groups of their own."""
    members = [p for p in psutil.process_iter() if _group_of(p) == group]
    below = [child for p in members for child in p.children(recursive=True)]
    for process in {*members, *below}:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs([*members, *below], timeout=10)


def _group_of(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return None


def tune(*arguments: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    """``raysearch tune`` of a method with nothing to train."""
    data = ("--method", "benchmarks.noop:Noop", "--data", "phantom:images=60,size=32")
    return subprocess.Popen(
        [sys.executable, "-m", "raysearch", "tune", *data, *arguments],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], seconds: float) -> tuple[int, str, str]:
    """Return code, standard output and standard error."""
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"it hangs: {process.communicate()}") from None
    return process.returncode, output, errors


def trials(studies: Path, name: str) -> list[Path]:
    """Trials that recorded an epoch."""
    return sorted((studies / name / "trials").glob("*/metrics.jsonl"))


def eventually(condition: Any, seconds: float) -> Any:
    """The first true value of `condition()`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.2)
    return value
