"""A thin trial: what it asks of its slot, what it leaves on disk, and how it ends."""

from __future__ import annotations

import errno
import json
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import OwnerDiedError, RayError

from raysearch.method import Work
from raysearch.search import _trainable
from raysearch.search._trainable import RETRIES, SlotTrial
from raysearch.slots._client import Lease, SlotLostError, SlotsBrokenError, TrialFailedError
from raysearch.study._trial_folder import TrialFolder
from raysearch.study._upstream import UpstreamFiles, unfinished, worked_on

Answer = Callable[[], Any]


class Slot:
    """Answers epochs from a script: a value, or an error to raise; `log` is what it was asked."""

    def __init__(self, script: list[float | Exception], epochs: int) -> None:
        self._script = iter(script)
        self._epochs = epochs
        self.held: list[str] = []
        self.upstream_fails: list[Exception | None] = []
        self.log: list[str] = []
        self.limits: list[float | None] = []
        self.leased = 0
        self.broken = False

    def lease(self) -> Lease:
        if self.broken:
            raise SlotsBrokenError("no worker group could be started: no memory")
        self.leased += 1
        self.log.append("lease")
        return Lease(0, str(self.leased))

    def release(self, lease: Lease) -> None:
        self.leased -= 1
        self.log.append("release")

    def call(self, lease: Lease, name: str, payload: Any = None, *, seconds: float | None = None) -> Any:
        self.log.append(name)
        if name in ("lacking", "hold") or name.startswith("upstream"):
            return self._share(name, payload)
        if name == "start":
            self.given = payload["outcomes"]
            self._epoch = int(payload["checkpoint"] or 0)
            return self._epoch == payload["epoch"]
        if name == "end" and self.lost:
            raise SlotLostError("gone")
        if name != "epoch":
            return None
        self.limits.append(seconds)
        step = next(self._script)
        self.lost = isinstance(step, SlotLostError)
        if isinstance(step, Exception):
            raise step
        self._epoch += 1
        row = {
            "time": 0.0,
            "losses": {"train_seconds": 2.0},
            "evaluate_seconds": 1.0,
            "epoch": self._epoch,
            "value": step,
            "last_stage": True,
            "finished": self._epoch >= self._epochs,
        }
        return {"row": row, "evidence": b"%d" % self._epoch, "checkpoint": b"%d" % self._epoch}

    lost = False

    def _share(self, name: str, payload: Any) -> Any:
        """Two epochs, whose outcome says how it was come by."""
        if name == "lacking":
            return [key for key in payload if key not in self.held]
        if name == "hold":
            self.held.append(payload["key"])
            return None
        if name == "upstream":
            self._upstream = payload["name"], int(payload["checkpoint"] or 0)
            return {"epoch": self._upstream[1], "epochs": 2}
        work, epoch = self._upstream
        if name == "upstream_outcome":
            return {"outcome": f"{work} {epoch}".encode()}
        error = self.upstream_fails.pop(0) if self.upstream_fails else None
        if error is not None:
            raise error
        self._upstream = work, epoch + 1
        return {"checkpoint": b"%d" % (epoch + 1)}


Make = Callable[..., tuple[SlotTrial, Slot, TrialFolder]]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setattr(_trainable.ray, "get", lambda reference: reference)
    monkeypatch.setattr(_trainable.ray, "put", lambda value: value)

    def make(
        script: list[float | Exception],
        epochs: int = 3,
        select: str = "best",
        maximise: bool = True,
        pauses: tuple[int, ...] = (),
        works: tuple[Work, ...] = (),
        number: int = 0,
        pool: str = "p",
        trial_seconds: float | None = None,
        deadline: float | None = None,
        grace: bool = False,
    ) -> tuple[SlotTrial, Slot, TrialFolder]:
        slot = Slot(script, epochs)
        monkeypatch.setattr(_trainable, "SlotClient", lambda pool: slot)
        folder = TrialFolder(tmp_path / str(number))
        folder.create({})
        trial = object.__new__(SlotTrial)
        trial.setup({
            "pool": pool, "number": number, "config": {}, "thresholds": {}, "folder": str(folder.path),
            "judge": {"select": select, "maximise": maximise}, "round": None,
            "pauses": pauses, "epochs": epochs, "trial_seconds": trial_seconds, "deadline": deadline,
            "grace": grace, "exploited": None, "study": str(tmp_path), "upstream": works,
        })  # fmt: skip
        return trial, slot, folder

    return make


TEACHER = Work(name="teacher", key="a" * 64, fields={"lr": 0.1}, inputs={}, read=True)
LABELS = Work(name="labels", key="b" * 64, fields={}, inputs={"teacher": "a" * 64}, read=True)
TEACH = ["upstream", "upstream_epoch", "upstream_epoch", "upstream_outcome"]


def run(trial: SlotTrial) -> list[dict[str, Any]]:
    results = [trial.step()]
    while not results[-1]["done"]:
        results.append(trial.step())
    return results


def test_a_trial_from_begin_to_end(make: Make) -> None:
    trial, slot, folder = make([0.1, 0.3, 0.2])
    results = run(trial)
    assert [r["state"] for r in results] == ["running", "running", "complete"]
    assert [json.loads(r["row"]) for r in results] == folder.rows()
    assert slot.log == ["lease", "start", "epoch", "epoch", "epoch", "end", "release"]
    assert folder.best.read_bytes() == b"2"
    assert (folder.path / "evidence" / "best.npz").read_bytes() == b"2"


@pytest.mark.parametrize(
    ("values", "select", "maximise", "best"),
    [
        ([0.5, 0.5, 0.1], "best", True, b"2"),  # of equal ones the later
        ([0.5, 0.2, 0.2], "best", False, b"3"),
        ([0.5, 0.2, 0.1], "last", True, b"3"),
        ([0.1, 0.2, 0.5], "last", False, b"3"),
    ],
)
def test_the_best_checkpoint_is_that_of_the_judged_epoch(
    make: Make, values: list[float | Exception], select: str, maximise: bool, best: bytes
) -> None:
    trial, _, folder = make(values, select=select, maximise=maximise)
    run(trial)
    assert folder.best.read_bytes() == best


def test_a_lost_group_costs_its_epoch_alone(make: Make) -> None:
    trial, slot, folder = make([0.1, SlotLostError("a worker died"), 0.3, 0.2])
    assert run(trial)[-1]["state"] == "complete"
    assert [row["epoch"] for row in folder.rows()] == [1, 2, 3]
    assert slot.log.count("start") == 2
    assert folder.best.read_bytes() == b"2"


def test_group_after_group_lost_is_a_crash(make: Make) -> None:
    trial, _, _ = make([0.1, *[SlotLostError("a worker died")] * (RETRIES + 1)])
    last = run(trial)[-1]
    assert last["state"] == "crashed"
    assert last["reason"] == f"lost its worker group {RETRIES + 1} times: a worker died"
    assert math.isnan(last["value"])


def test_a_checkpoint_that_cannot_be_fetched_gives_the_slot_back(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The group may be alive and well: kept leased, nobody would ever get it again."""
    trial, slot, folder = make([0.1, 0.2, 0.2, 0.3])
    errors: list[RayError] = [OwnerDiedError("ab", "owner", "task")]
    monkeypatch.setattr(_trainable.ray, "get", lambda r: r if r != b"2" or not errors else _raise(errors.pop()))
    run(trial)
    assert slot.leased == 0
    assert slot.log == [
        "lease", "start", "epoch", "epoch", "end", "release", "lease", "start", "epoch", "epoch", "end", "release",
    ]  # fmt: skip
    assert [row["epoch"] for row in folder.rows()] == [1, 2, 3], "it went on from what was on disk"


def _raise(error: Exception) -> Any:
    raise error


def test_a_failed_trial_leaves_its_traceback_and_its_slot(make: Make) -> None:
    trial, slot, folder = make([TrialFailedError("error", "LookupError: no such luck", "Traceback: x")])
    last = run(trial)[-1]
    assert (last["state"], last["reason"]) == ("failed", "LookupError: no such luck")
    assert (folder.path / "error.txt").read_text() == "Traceback: x"
    assert slot.leased == 0


def test_no_slots_any_more_is_fatal(make: Make) -> None:
    trial, slot, _ = make([])
    slot.broken = True
    last = run(trial)[-1]
    assert (last["state"], last["reason"]) == ("fatal", "no worker group could be started: no memory")


@pytest.mark.parametrize("where", ["epoch", "traceback"])
def test_a_full_disk_is_fatal_and_no_fault_of_the_trial(
    make: Make, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    script = [0.1, 0.2 if where == "epoch" else TrialFailedError("error", "LookupError: x", "Traceback: x")]
    trial, slot, folder = make(script)
    trial.step()
    full = OSError(errno.ENOSPC, "No space left on device", "x")
    monkeypatch.setattr(Path, "write_bytes", lambda *_: _raise(full))
    monkeypatch.setattr(Path, "write_text", lambda *_: _raise(full))
    last = run(trial)[-1]
    assert (last["state"], last["errno"]) == ("fatal", errno.ENOSPC)
    assert slot.leased == 0
    assert len(folder.rows()) == 1


def test_the_next_trial_gets_the_slot_of_a_stopped_one(make: Make, tmp_path: Path) -> None:
    trial, slot, _ = make([0.1, 0.2, 0.3, 0.4])
    trial.step()
    other = TrialFolder(tmp_path / "1")
    other.create({})
    assert trial.reset_config({
        "pool": "p", "number": 1, "config": {}, "thresholds": {}, "folder": str(other.path),
        "judge": {"select": "best", "maximise": True}, "round": None, "pauses": (), "exploited": None,
        "epochs": 3, "trial_seconds": None, "deadline": None, "grace": False,
        "study": str(tmp_path), "upstream": [],
    })  # fmt: skip
    assert slot.log == ["lease", "start", "epoch", "end", "release"]
    run(trial)
    assert [row["value"] for row in other.rows()] == [0.2, 0.3, 0.4]
    trial.cleanup()
    assert slot.leased == 0


def test_a_trial_that_is_going_to_pause_gives_its_slot_back(make: Make) -> None:
    trial, slot, _ = make([0.1, 0.2, 0.3], pauses=(2,))
    trial.step()
    assert slot.leased == 1
    trial.step()
    assert slot.leased == 0
    assert slot.log == ["lease", "start", "epoch", "epoch", "park", "release"]
    trial.step()
    assert slot.log[6:] == ["lease", "start", "start", "epoch", "end", "release"], "parked, or else from its checkpoint"


def test_who_takes_over_goes_on_from_the_other_ones_checkpoint_once(make: Make) -> None:
    trial, slot, folder = make([0.1, 0.2, 0.3, 0.4], epochs=4, pauses=(2,))
    trial.step()
    trial.step()
    folder.donor.write_bytes(b"2")
    folder.last.write_bytes(b"7")
    exploited = {"from": 1, "epoch": 2, "params": {}, "loss_thresholds": None}
    assert trial.reset_config({**trial._trial, "exploited": exploited})
    trial.step()
    assert slot.log[6:] == ["lease", "start", "epoch"], "what it had parked is not what it goes on from"
    assert [row["epoch"] for row in folder.rows()] == [1, 2, 3]
    assert not folder.donor.exists()
    trial.step()
    assert folder.last.read_bytes() == b"4"


def test_the_first_trial_does_the_work_and_the_next_one_finds_it(make: Make, tmp_path: Path) -> None:
    trial, slot, _ = make([0.1, 0.2, 0.3], works=(TEACHER, LABELS))
    trial.step()
    assert slot.log == [
        "lease", *TEACH, "lacking", "hold", *TEACH, "lacking", "hold", "start", "epoch",
    ]  # fmt: skip
    files = UpstreamFiles(tmp_path, TEACHER)
    assert files.outcome.read_bytes() == b"teacher 2"
    assert not files.checkpoint.exists()
    assert (files.progress.epoch, files.progress.fields) == (2, {"lr": 0.1})
    assert not list(unfinished(tmp_path))

    second, other, _ = make([0.1], works=(TEACHER, LABELS), number=1)
    other.held = [LABELS["key"]]
    second.step()
    assert other.log == ["lease", "lacking", "hold", "start", "epoch"]


def test_a_training_is_sent_what_it_reads_itself(make: Make, tmp_path: Path) -> None:
    works = (Work(**{**TEACHER, "read": False}), LABELS)
    trial, slot, _ = make([0.1, 0.2, 0.3], works=works)
    trial.step()
    assert slot.log == ["lease", *TEACH, "lacking", "hold", *TEACH, "lacking", "hold", "start", "epoch"]
    assert slot.given == {"labels": LABELS["key"]}

    second, other, _ = make([0.1], works=works, number=1)
    second.step()
    assert other.held == [LABELS["key"]], "the teacher is none of its inputs"


def test_a_checkpoint_that_a_killed_process_left_beside_the_outcome_goes(make: Make, tmp_path: Path) -> None:
    trial, slot, _ = make([0.1], works=(TEACHER,))
    files = UpstreamFiles(tmp_path, TEACHER)
    files.checkpoint.parent.mkdir()
    files.checkpoint.write_bytes(b"2")
    files.outcome.write_bytes(b"teacher 2")
    trial.step()
    assert slot.log == ["lease", "lacking", "hold", "start", "epoch"]
    assert not files.checkpoint.exists()


def test_who_waits_for_shared_work_holds_no_slot(make: Make, tmp_path: Path) -> None:
    """Its holder may be waiting for that slot."""
    trial, slot, _ = make([0.1], works=(TEACHER, LABELS))
    files = UpstreamFiles(tmp_path, LABELS)
    with files.lock():
        waiting = threading.Thread(target=trial.step, daemon=True)
        waiting.start()
        deadline = time.monotonic() + 20
        while "release" not in slot.log and time.monotonic() < deadline:
            time.sleep(0.01)
        assert slot.log == ["lease", *TEACH, "end", "release"], "the teacher was its own to train"
        assert slot.leased == 0
        files.outcome.write_bytes(b"of another trial")
    waiting.join(20)
    assert not waiting.is_alive()
    assert slot.log[7:] == ["lease", "lacking", "hold", "hold", "start", "epoch"]
    assert files.outcome.read_bytes() == b"of another trial"


def test_shared_work_goes_on_from_its_last_epoch(make: Make, tmp_path: Path) -> None:
    trial, slot, _ = make([0.1], works=(TEACHER,))
    slot.upstream_fails = [None, SlotLostError("a worker died")]
    trial.step()
    assert slot.log == [
        "lease", "upstream", "upstream_epoch", "upstream_epoch", "end", "release",
        "lease", "upstream", "upstream_epoch", "upstream_outcome", "lacking", "hold", "start", "epoch",
    ]  # fmt: skip
    files = UpstreamFiles(tmp_path, TEACHER)
    assert files.outcome.read_bytes() == b"teacher 2"
    assert len(list(worked_on(tmp_path))) == 2, "both groups' time counts"
    assert sum(end - begin for begin, end in worked_on(tmp_path)) == pytest.approx(files.progress.seconds, abs=0.05)


def test_shared_work_that_fails_fails_every_trial_that_needs_it_once(make: Make, tmp_path: Path) -> None:
    trial, slot, folder = make([0.1], works=(TEACHER,))
    slot.upstream_fails = [TrialFailedError("non-finite", "non-finite loss in epoch 1", "Traceback: x")]
    last = run(trial)[-1]
    assert (last["state"], last["reason"]) == ("failed", "teacher: non-finite loss in epoch 1")
    assert (folder.path / "error.txt").read_text() == "Traceback: x"
    assert slot.leased == 0
    assert not list(unfinished(tmp_path))

    second, other, _ = make([0.1], works=(TEACHER,), number=1)
    last = run(second)[-1]
    assert (last["state"], last["reason"]) == (
        "failed", "teacher, shared with an earlier trial: non-finite loss in epoch 1",
    )  # fmt: skip
    assert other.log == []

    again, third, _ = make([0.1, 0.2, 0.3], works=(TEACHER,), number=2, pool="of another run")
    assert run(again)[-1]["state"] == "complete", "another run of the study tries again"
    assert third.log[:2] == ["lease", "upstream"]


@pytest.mark.parametrize("command", ["hold", "upstream"])
def test_a_damaged_file_of_shared_work_stops_the_study_and_fails_no_trial(
    make: Make, tmp_path: Path, command: str
) -> None:
    trial, slot, _ = make([0.1], works=(TEACHER,))
    damaged = TrialFailedError("damaged", "up/teacher.pt is not a checkpoint; delete it and it is made again", "")
    share = slot._share
    slot._share = lambda name, payload: _raise(damaged) if name == command else share(name, payload)  # type: ignore[method-assign]
    last = run(trial)[-1]
    assert last["state"] == "fatal"
    assert last["reason"].endswith("up/teacher.pt is not a checkpoint; delete it and it is made again")
    assert slot.leased == 0
    assert not UpstreamFiles(tmp_path, TEACHER).progress.failed


def test_the_display_is_told_how_far_shared_work_is(make: Make, tmp_path: Path) -> None:
    trial, slot, _ = make([0.1], works=(TEACHER,))
    seen = []
    slot._share = lambda name, payload, ask=slot._share: (  # type: ignore[method-assign, misc]
        seen.extend((w.name, w.epoch, w.epochs) for w in unfinished(tmp_path)), ask(name, payload)
    )[1]  # fmt: skip
    trial.step()
    assert seen == [("teacher", 0, 2), ("teacher", 1, 2), ("teacher", 2, 2)]


def test_a_trial_has_what_its_epochs_left_of_its_time(make: Make) -> None:
    trial, slot, _ = make([0.1, 0.2, 0.3], trial_seconds=8.0)
    run(trial)
    assert slot.limits == [8.0, 5.0, 2.0], "an epoch takes three seconds"


@pytest.mark.parametrize(
    ("script", "seconds", "said"),
    [
        ([0.1, TrialFailedError("overtime", "it took too long", "")], 600.0, "--trial-time 10m: 1 of 3 epochs"),
        ([0.1, 0.2], 6.0, "--trial-time 6s: 2 of 3 epochs"),
        ([TrialFailedError("overtime", "it took too long", "")], 1.5, "--trial-time 1.5s: 0 of 3 epochs"),
    ],
)
def test_a_trial_that_takes_too_long_fails_and_keeps_what_it_finished(
    make: Make, script: list[float | Exception], seconds: float, said: str
) -> None:
    trial, slot, folder = make(script, trial_seconds=seconds)
    last = run(trial)[-1]
    assert (last["state"], last["reason"]) == ("failed", f"took longer than {said}")
    assert len(folder.rows()) == int(said.split(": ")[1].split()[0])
    assert slot.leased == 0


def test_time_is_counted_over_interruptions(make: Make) -> None:
    trial, _, _ = make([0.1], trial_seconds=100.0)
    trial.step()
    again, slot, _ = make([0.2, 0.3], trial_seconds=100.0)
    assert run(again)[-1]["state"] == "complete"
    assert slot.limits == [97.0, 94.0]
    late, third, _ = make([0.1], epochs=4, trial_seconds=2.0)
    last = run(late)[-1]
    assert last["reason"] == "took longer than --trial-time 2s: 3 of 4 epochs", "a shorter limit counts what was before"
    assert third.limits == []


def test_the_last_epoch_may_use_all_of_the_time(make: Make) -> None:
    trial, _, _ = make([0.1, 0.2, 0.3], trial_seconds=9.0)
    assert run(trial)[-1]["state"] == "complete"


def test_no_epoch_begins_after_the_time_and_nothing_is_lost(make: Make) -> None:
    trial, slot, folder = make([0.1, 0.2, 0.3], deadline=time.monotonic() + 1000)
    trial.step()
    trial._clock.deadline = time.monotonic()
    last = trial.step()
    assert (last["state"], last["done"]) == ("halted", True)
    assert slot.log == ["lease", "start", "epoch", "end", "release"]
    assert [row["epoch"] for row in folder.rows()] == [1]
    late, other, _ = make([0.1], deadline=0.0)
    assert late.step()["state"] == "halted"
    assert other.log == [], "it does not even ask for a slot"


def test_the_first_trial_of_a_run_has_one_epoch_however_late_it_is(make: Make) -> None:
    trial, _, folder = make([0.1, 0.2, 0.3], deadline=0.0, grace=True)
    assert [trial.step()["state"] for _ in range(2)] == ["running", "halted"]
    assert [row["epoch"] for row in folder.rows()] == [1]


def test_shared_work_ends_with_its_epoch_too(make: Make, tmp_path: Path) -> None:
    files = UpstreamFiles(tmp_path, TEACHER)
    for done in (1, 2):
        trial, slot, _ = make([0.1], works=(TEACHER,), deadline=0.0, grace=True)
        assert run(trial)[-1]["state"] == "halted"
        assert slot.log == ["lease", "upstream", "upstream_epoch", "end", "release"]
        assert files.checkpoint.read_bytes() == b"%d" % done
    trial, slot, _ = make([0.1], works=(TEACHER,), deadline=0.0, grace=True)
    assert run(trial)[-1]["state"] == "halted"
    assert slot.log == ["lease", "upstream", "upstream_outcome", "end", "release"], "and no epoch of its own"
    assert files.outcome.read_bytes() == b"teacher 2"
    assert not files.progress.failed


def test_who_waits_for_shared_work_of_a_trial_that_halts_halts_too(make: Make, tmp_path: Path) -> None:
    trial, slot, _ = make([0.1], works=(TEACHER,), deadline=0.0)
    trial._clock.grace = True
    files = UpstreamFiles(tmp_path, TEACHER)
    results: list[dict[str, Any]] = []
    with files.lock():
        waiting = threading.Thread(target=lambda: results.append(trial.step()), daemon=True)
        waiting.start()
        trial._clock.grace = False
    waiting.join(20)
    assert [result["state"] for result in results] == ["halted"]
    assert not slot.leased


def test_a_hanging_group_fails_its_trial_at_once(make: Make) -> None:
    hangs = TrialFailedError("hangs", "no training step and no batch was finished for 30m (--step-time)", "")
    trial, slot, folder = make([0.1, hangs])
    last = run(trial)[-1]
    assert (last["state"], last["reason"]) == ("failed", str(hangs))
    assert slot.log.count("epoch") == 2, "it is not tried again"
    assert len(folder.rows()) == 1
