"""A trial as Ray Tune sees it: thin, holding no device, leasing a slot for as long as it trains.

Tune keeps one such process a slot and passes it from trial to trial (``reuse_actors``). It imports no torch.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import ray
from ray import tune

from raysearch.slots._client import Lease, SlotClient, SlotLostError, SlotsBrokenError, TrialFailedError
from raysearch.study._trial_folder import TrialFolder

RETRIES = 3
"""Times that a trial may lose its worker group before it counts as crashed."""


class SlotTrial(tune.Trainable):  # type: ignore[misc]
    """One step is one epoch with its evaluation. Results hold ``state``: running, complete, failed, crashed or fatal."""

    def setup(self, config: dict[str, Any]) -> None:
        self._client = SlotClient(config["pool"])
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._release()
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        try:
            return self._epoch()
        except TrialFailedError as error:
            self._release()
            return self._ended("failed", str(error), error.traceback)
        except SlotsBrokenError as error:
            return self._ended("fatal", str(error))
        except OSError as error:
            self._release()
            return self._ended(
                "fatal", f"{error.strerror or error}: {error.filename or self._folder.path}", errno=error.errno
            )

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        Path(checkpoint_dir, "epoch").write_text(str(self._done))

    def load_checkpoint(self, checkpoint: str) -> None:
        self._done = int(Path(checkpoint, "epoch").read_text())

    def cleanup(self) -> None:
        self._release()

    def _begin(self, config: dict[str, Any]) -> None:
        self._trial = config
        self._folder = TrialFolder(Path(config["folder"]))
        self._judge: dict[str, Any] = config["judge"]
        self._lease: Lease | None = None
        self._losses = 0
        self._done = 0
        self._best: float | None = None

    def _epoch(self) -> dict[str, Any]:
        """Trains and records an epoch, in another worker group if the first one dies under it."""
        while True:
            try:
                if self._lease is None:
                    self._start()
                assert self._lease is not None
                answer = self._client.call(self._lease, "epoch", self._trial["thresholds"])
                checkpoint = ray.get(answer["checkpoint"])
                break
            except (SlotLostError, ray.exceptions.RayError) as error:
                self._lease = None
                self._losses += 1
                if self._losses > RETRIES:
                    return self._ended("crashed", f"lost its worker group {self._losses} times: {error}")
        row = answer["row"]
        self._folder.record(
            row, evidence=answer["evidence"], checkpoint=checkpoint, best=self._is_best(float(row["value"]))
        )
        self._done = row["epoch"]
        if row["finished"]:
            self._release()
        state = "complete" if row["finished"] else "running"
        # as text: Tune flattens nested results before it hands them on
        return {
            "state": state,
            "row": json.dumps(row),
            "value": row["value"],
            "epoch": row["epoch"],
            "done": row["finished"],
        }

    def _start(self) -> None:
        """Leases a slot and brings the trial into it, from its last durable epoch if there is one."""
        self._lease = self._client.lease(self._trial["number"])
        checkpoint = self._folder.last.read_bytes() if self._folder.last.exists() else None
        payload = {"number": self._trial["number"], "config": self._trial["config"], "checkpoint": checkpoint}
        self._client.call(self._lease, "start", payload)
        for row in self._folder.rows():
            self._is_best(float(row["value"]))

    def _is_best(self, value: float) -> bool:
        """Whether the trial is judged by this epoch so far; of equal epochs the later."""
        if self._judge["select"] == "last":
            return True
        better = self._best is None or (value >= self._best if self._judge["maximise"] else value <= self._best)
        if better:
            self._best = value
        return better

    def _release(self) -> None:
        if self._lease is None:
            return
        lease, self._lease = self._lease, None
        try:
            self._client.call(lease, "end")
        except (SlotLostError, TrialFailedError):
            return
        self._client.release(lease)

    def _ended(self, state: str, reason: str, trace: str = "", errno: int | None = None) -> dict[str, Any]:
        if trace:
            (self._folder.path / "error.txt").write_text(trace)
        return {
            "state": state,
            "reason": reason,
            "errno": errno,
            "epoch": self._done,
            "value": float("nan"),
            "time": time.time(),
            "done": True,
        }
