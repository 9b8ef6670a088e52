"""A trial as Ray Tune sees it: thin, holding no device, leasing a slot for as long as it trains.

Tune keeps one such process a slot and passes it from trial to trial (``reuse_actors``). It imports no torch.
"""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from filelock import Timeout
from ray import tune

from raysearch._text import counted, duration
from raysearch.search._clock import EpochClock, TimeIsUpError
from raysearch.search._upstream import do_upstream, hand_over, upstream_files
from raysearch.slots._client import Lease, SlotClient, SlotLostError, SlotsBrokenError, TrialFailedError
from raysearch.study._judge import judge
from raysearch.study._spent import worked_seconds
from raysearch.study._trial_folder import TrialFolder
from raysearch.study._upstream import UpstreamFiles

RETRIES = 3
"""Times that a trial may lose its worker group before it counts as crashed."""


class SlotTrial(tune.Trainable):  # type: ignore[misc]
    """One step is one epoch with its evaluation; ``state`` of a result is running, complete, failed, crashed, fatal, or
    halted: the study's time is up, and the trial goes on in another run."""

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
        except TimeIsUpError:
            self._release()
            return self._ended("halted", "")
        except SlotsBrokenError as error:
            return self._ended("fatal", str(error))
        except OSError as error:
            self._release()
            reason = f"{error.strerror or error}: {error.filename or self._folder.path}"
            return self._ended("fatal", reason, errno=error.errno)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        Path(checkpoint_dir, "epoch").write_text(str(self._done))

    def load_checkpoint(self, checkpoint: str) -> None:
        self._done = int(Path(checkpoint, "epoch").read_text())

    def cleanup(self) -> None:
        self._release()

    def _begin(self, config: dict[str, Any]) -> None:
        self._trial = config
        self._folder = TrialFolder(Path(config["folder"]))
        self._upstream = upstream_files(config["study"], config["upstream"])
        self._read = {name: files for name, files in self._upstream.items() if files.work["read"]}
        self._lease: Lease | None = None
        self._clock = EpochClock(deadline=config["deadline"], grace=config["grace"])
        self._losses = 0
        self._done = 0
        self._rows: list[dict[str, Any]] = []

    def _epoch(self) -> dict[str, Any]:
        """Trains and records an epoch, in another worker group if the first one dies under it."""
        while True:
            try:
                self._clock.begin()
                if self._lease is None:
                    self._await_upstream()
                    self._start()
                assert self._lease is not None
                answer = self._client.call(
                    self._lease, "epoch", self._trial["thresholds"], seconds=self._seconds_left()
                )
                checkpoint = ray.get(answer["checkpoint"])
                break
            except TrialFailedError as error:
                self._release()
                # every trial that needs the same file would fail, and a failed trial does not come again
                state = "fatal" if error.kind == "damaged" else "failed"
                reason = self._overtime() if error.kind == "overtime" else str(error)
                return self._ended(state, reason, error.traceback)
            except (SlotLostError, ray.exceptions.RayError) as error:
                self._release()  # a group that is still there has an epoch that nobody could read
                self._losses += 1
                if self._losses > RETRIES:
                    return self._ended("crashed", f"lost its worker group {self._losses} times: {error}")
        row = answer["row"]
        self._folder.record(row, evidence=answer["evidence"], checkpoint=checkpoint, best=self._is_best(row))
        self._done = row["epoch"]
        self._clock.end()
        if self._trial["exploited"] is not None:
            self._folder.donor.unlink(missing_ok=True)
        if row["finished"]:
            self._release()
        elif self._pauses_after(row):
            self._release("park")  # whatever comes next, others may train meanwhile
        state = "complete" if row["finished"] else "running"
        # as text: Tune flattens nested results before it hands them on
        return {
            "state": state,
            "row": json.dumps(row),
            "value": row["value"],
            "epoch": row["epoch"],
            "done": row["finished"],
        }

    def _seconds_left(self) -> float | None:
        """That the next epoch may take.

        Raises:
            TrialFailedError: none.
        """
        limit = self._trial["trial_seconds"]
        if limit is None:
            return None
        left = float(limit - worked_seconds(self._rows))
        if left <= 0:
            raise TrialFailedError("overtime", "", "")
        return left

    def _overtime(self) -> str:
        done = self._rows[-1]["epoch"] if self._rows else 0
        limit, epochs = duration(self._trial["trial_seconds"]), counted(self._trial["epochs"], "epoch")
        return f"took longer than --trial-time {limit}: {done} of {epochs}"

    def _await_upstream(self) -> None:
        """Returns when all work that the trial builds on is done, by this trial or by another."""
        for files in self._upstream.values():
            if files.outcome.exists():
                files.drop_checkpoint()  # of a process that was killed just before it did
                continue
            lock = files.lock()
            try:
                held = lock.acquire(blocking=False)
            except Timeout:
                self._release()  # who has a slot waits for no lock: its holder may be waiting for a slot
                held = lock.acquire()
            with held:
                if not files.outcome.exists():
                    self._do_upstream(files)

    def _do_upstream(self, files: UpstreamFiles) -> None:
        name, progress, pool = files.work["name"], files.progress, self._trial["pool"]
        if progress.failed and progress.run == pool:
            raise TrialFailedError("upstream", f"{name}, shared with an earlier trial: {progress.failed}", "")
        lease = self._ensure_lease()
        inputs = [self._upstream[other] for other in files.work["inputs"]]
        settings = {**self._trial["config"], **(self._trial["round"] or {}).get("thresholds", {})}
        try:
            do_upstream(self._client, lease, files, inputs, settings, self._clock)
        except TrialFailedError as error:
            if error.kind != "damaged":
                files.tell(replace(files.progress, failed=str(error), run=pool))
            raise TrialFailedError(error.kind, f"{name}: {error}", error.traceback) from None

    def _ensure_lease(self) -> Lease:
        if self._lease is None:
            self._lease = self._client.lease()
        return self._lease

    def _start(self) -> None:
        """Leases a slot and brings the trial into it: where it was parked, from its last durable epoch, or from what it
        took over from another trial."""
        lease = self._ensure_lease()
        self._clock.begin()  # it may have waited for a slot, or had other work done before
        hand_over(self._client, lease, list(self._read.values()))
        self._rows = self._folder.rows()
        begun = bool(self._rows) and self._folder.last.exists()
        exploited = self._trial["exploited"]
        payload: dict[str, Any] = {
            "number": self._trial["number"],
            "config": self._trial["config"],
            "epoch": self._rows[-1]["epoch"] if begun else 0,
            "checkpoint": None,
            "kept": None,
            "round": None,
            "exploited": exploited,
            "outcomes": {name: files.work["key"] for name, files in self._read.items()},
        }
        if self._trial["round"] is not None:
            payload |= self._enter_round(self._trial["round"])
        takes_over = exploited is not None and exploited["epoch"] == payload["epoch"]
        parked = begun and not takes_over and self._pauses_after(self._rows[-1])
        if parked and self._client.call(lease, "start", payload):
            return  # the group had it
        if begun:
            path = self._folder.donor if takes_over else self._folder.last
            payload["checkpoint"] = ray.put(path.read_bytes())
        self._client.call(lease, "start", payload)

    def _pauses_after(self, row: dict[str, Any]) -> bool:
        return row["epoch"] in self._trial["pauses"] or bool(row.get("alternation", {}).get("ends"))

    def _enter_round(self, plan: dict[str, Any]) -> dict[str, Any]:
        """What the worker is told of the round; at its beginning the checkpoint to go back to is settled."""
        before = [row["epoch"] for row in self._rows if row["alternation"]["round"] < plan["number"]]
        begins = len(before) == len(self._rows)
        kept = None
        if before and begins and plan["taken_back"]:
            kept = ray.put(self._folder.kept.read_bytes())
        elif before and begins:
            self._folder.keep()
        first = before[-1] if before else 0
        return {"round": {**plan, "first": first, "pauses": self._trial["pauses"]}, "kept": kept}

    def _is_best(self, row: dict[str, Any]) -> bool:
        """Whether the trial is judged by this epoch so far."""
        self._rows.append(row)
        return judge(self._rows, **self._trial["judge"]) is row

    def _release(self, farewell: str = "end") -> None:
        """Lets the trial go and gives its slot back, if it has one and the slot is still there."""
        lease, self._lease = self._lease, None
        if lease is None:
            return
        with contextlib.suppress(SlotsBrokenError):
            with contextlib.suppress(SlotLostError, TrialFailedError):
                self._client.call(lease, farewell)
            self._client.release(lease)

    def _ended(self, state: str, reason: str, trace: str = "", errno: int | None = None) -> dict[str, Any]:
        if trace:
            (self._folder.path / "error.txt").write_text(trace, "utf-8", "backslashreplace")
        return {
            "state": state,
            "reason": reason,
            "errno": errno,
            "epoch": self._done,
            "value": float("nan"),
            "time": time.time(),
            "done": True,
        }
