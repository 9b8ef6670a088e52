"""Studies that are not there, are taken, are damaged or cannot be written."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from export.finished_studies import SMALL, begun_study

from cli.conftest import Call, Refuse
from raysearch import __version__
from raysearch.study import Book, Study, open_study
from raysearch.training import decode, encode

AGAIN = ("tune", "--method", "cam_avg", "--data", SMALL, "--study", "done")


@pytest.mark.parametrize("command", ["status", "resume", "stop", "export", "dashboard"])
def test_a_study_that_does_not_exist(refuse: Refuse, study: Study, tmp_path: Path, command: str) -> None:
    out = ("--out", tmp_path / "model") if command == "export" else ()
    refuse(command, "dome", *out, says=("no study 'dome'", str(study.path.parent), "did you mean 'done'?"))
    refuse(command, "x" * 300, *out, says=("no study 'xxx", "known: done"))
    refuse(command, "../done", *out, says=("no study '../done'",))


def test_no_study_at_all(refuse: Refuse, call: Call) -> None:
    refuse("status", says=("no study in", "'raysearch tune --method NAME' makes one"))
    refuse("status", "x", says=("no study 'x'", "'raysearch tune --method NAME' makes one"))
    listed = call("studies")
    assert listed.code == 0
    assert "'raysearch tune --method NAME' makes one" in listed.out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), ("'raysearch resume done' goes on with it", "give another --study to begin a new one")),
        (("--fix", "lr=0.1"), ("with another search space (it differs in lr)", "give another --study")),
        (("--per-class",), ("with another search space (it differs in mask_threshold)", "give another --study")),
        (("--decision-thresholds", "fixed"), ("with another search space", "give another --study")),
        (("--method", "wildcat"), ("with another method (cam_avg, not wildcat)", "give another --study")),
        (("--data", f"{SMALL},seed=1"), (f"with other data ({SMALL}, not {SMALL},seed=1)", "give another --study")),
        (("--metric", "iou"), ("with another metric (f1_plus, not iou)", "give another --study")),
    ],
)
def test_a_name_that_is_taken(refuse: Refuse, study: Study, options: tuple[str, ...], says: tuple[str, ...]) -> None:
    refuse(*AGAIN, *options, says=(f"study 'done' exists in {study.path}", *says))


def test_budgets_that_cannot_be_meant(refuse: Refuse, study: Study) -> None:
    refuse("resume", "done", "--samples", "1", says=("--samples 1", "begun with 2", "at least as many"))
    refuse("resume", "done", "--time", "soon", says=("--time 'soon'", "expected a duration"))
    refuse("resume", "done", "--address", "x", says=("--address x", "HOST:PORT"))


def test_what_cannot_be_stopped(refuse: Refuse, study: Study) -> None:
    refuse("stop", "done", says=("study 'done' is not running", "'raysearch status done'"))
    refuse("stop", "done", "--wait", "nan", says=("--wait", "not a finite number"))


def test_one_process_a_study(refuse: Refuse, call: Call, study: Study) -> None:
    assert not study.running
    with study.hold():
        assert study.running
        assert json.loads(call("status", "done", "--json").out)["running"]
        refuse("resume", "done", says=("study 'done' is being run by another process", "'raysearch stop done'"))
        assert "has not ended within 0 s" in refuse("stop", "done", "--wait", "0", code=1)
    assert not study.running


def test_a_folder_that_cannot_be_written(refuse: Refuse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("RAYSEARCH_STUDIES", str(file / "studies"))
    refuse(*AGAIN, says=(str(file / "studies"), "cannot be written", "RAYSEARCH_STUDIES"))


def test_a_journal_cut_in_mid_line(call: Call, study: Study) -> None:
    before = json.loads(call("status", "done", "--json").out)
    whole = study.journal.read_bytes()
    study.journal.write_bytes(whole + b'{"op_code":5,"worker_id":"x","tri')
    during = call("status", "done", "--json")
    assert (during.code, json.loads(during.out)) == (0, before)
    resumed = call("resume", "done")
    assert resumed.code == 0
    assert study.journal.read_bytes() == whole == study.ledger.read_bytes()
    assert json.loads(call("status", "done", "--json").out) == before


def test_a_ledger_damaged_in_its_middle(refuse: Refuse, call: Call, study: Study) -> None:
    before = call("status", "done").out
    lines = study.ledger.read_bytes().splitlines(keepends=True)
    lines[2] = b"\x00\x00damaged\n"
    study.ledger.write_bytes(b"".join(lines))
    assert call("status", "done").out == before, "the journal has it too"
    study.journal.write_bytes(b"".join(lines))
    for command in ("status", "resume", "dashboard"):
        refuse(
            command, "done", says=(f"{study.ledger} and journal.log beside it are both damaged", "entry 2 of", "copy")
        )


def test_a_copied_study_is_itself(call: Call, study: Study, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    copy = study.path.with_name("copy")
    shutil.copytree(study.path, copy)
    assert json.loads(call("status", "copy", "--json").out)["study"] == "copy"
    assert {row["study"] for row in json.loads(call("studies", "--json").out)} == {"done", "copy"}
    resumed = call("resume", "copy")
    assert resumed.code == 0
    assert "export copy --out copy-model" in resumed.out
    assert "done" not in resumed.out.replace(str(study.path.parent), "")
    moved = tmp_path / "else where" / "moved"
    moved.parent.mkdir()
    copy.rename(moved)
    assert f"raysearch export '{moved}' --out moved-model" in call("resume", moved).out
    monkeypatch.chdir(moved.parent)
    assert "raysearch export ./moved --out moved-model" in call("resume", "./moved").out


def test_a_folder_that_is_no_study_is_not_taken(refuse: Refuse, study: Study) -> None:
    """Nor is it filled: what it holds is somebody's."""
    (study.path.parent / "mine").mkdir()
    (study.path.parent / "mine" / "notes.txt").write_text("x")
    refuse(*AGAIN[:-1], "mine", says=(f"{study.path.parent / 'mine'} exists and is no study", "give another --study"))
    assert [p.name for p in (study.path.parent / "mine").iterdir()] == ["notes.txt"]
    assert not list(study.path.parent.glob(".new-*"))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda text: text.replace("method:", "methd:"), ("unknown key 'methd'", "did you mean 'method'?")),
        (lambda text: text.replace("seed: 0\nkeep", "keep"), ("no key 'seed'", "restore the file")),
        (lambda text: text.replace("samples:", "sample:"), ("budget or resources are damaged", "'sample'")),
        (lambda text: text[: text.index("space:")], ("no key", "restore the file")),
        (lambda text: "[1, 2", ("is not YAML", "restore it from a copy")),
        (lambda text: "", ("holds NoneType", "restore it from a copy")),
        (lambda text: "\udcff\udcfe", ("is not YAML", "restore it from a copy")),
        (
            lambda text: text.replace("method:", "methd:").replace("raysearch: ", "raysearch: 9.9.9+"),
            ("was written by raysearch 9.9.9+", f"this is {__version__}: only that version reads it"),
        ),
        (lambda text: "!!python/object/apply:os.system ['true']", ("is not YAML", "restore it from a copy")),
    ],
)
def test_a_damaged_study_yaml(refuse: Refuse, study: Study, damage: Any, says: tuple[str, ...]) -> None:
    file = study.path / "study.yaml"
    changed = damage(file.read_text())
    assert changed != file.read_text()
    file.write_text(changed, errors="surrogateescape")
    refuse("status", "done", says=(str(file), *says))


def test_a_damaged_split_file(refuse: Refuse, study: Study, tmp_path: Path) -> None:
    whole = study.split_file.read_text()
    export = ("export", "done", "--out", tmp_path / "model")
    for damaged in (whole[:-6], whole.replace("row,", "line,"), whole.replace("\n0,", "\nfirst,"), ""):
        study.split_file.write_text(damaged)
        refuse(*export, says=(str(study.split_file), "cannot be read", "restore it"))


class Trap:
    """Runs a command when it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.proof),)


def trap(proof: Path) -> bytes:
    return pickle.dumps(Trap(proof))


def test_the_trap_works(tmp_path: Path) -> None:
    pickle.loads(trap(tmp_path / "proof"))
    assert (tmp_path / "proof").exists()


@pytest.mark.parametrize("damage", ["pickle", "archived pickle", "cut", "empty", "text", "of another model"])
def test_export_of_a_checkpoint_that_is_none(refuse: Refuse, study: Study, tmp_path: Path, damage: str) -> None:
    best = study.trial(0).best
    proof = tmp_path / "proof"
    best.write_bytes(damaged(best.read_bytes(), damage, proof))
    refuse("export", "done", "--trial", "0", "--out", tmp_path / "model", says=(str(best),))
    assert not proof.exists()
    assert not (tmp_path / "model").exists()
    assert not list(tmp_path.glob(".model*")), "nothing is left of an export that failed"
    assert not (study.path.parent / "looks.jsonl").exists(), "no number was shown, so nobody looked"


@pytest.mark.parametrize("damage", ["pickle", "archived pickle", "cut", "empty", "text"])
def test_resuming_with_a_checkpoint_that_is_none(refuse: Refuse, tmp_path: Path, damage: str) -> None:
    study = begun_study(tmp_path / "studies", name="begun")
    last, proof = study.trial(0).last, tmp_path / "proof"
    last.write_bytes(damaged(last.read_bytes(), damage, proof))
    refuse("resume", "begun", says=(str(last), "is not a checkpoint of raysearch", "delete it"))
    assert not proof.exists()
    last.unlink()
    assert Book(open_study("begun", study.path.parent)).remaining == 1, "the remedy works"


def damaged(whole: bytes, damage: str, proof: Path) -> bytes:
    if damage == "archived pickle":
        buffer = io.BytesIO()
        torch.save({"format": 1, "trainer": Trap(proof)}, buffer)
        return buffer.getvalue()
    if damage == "of another model":
        state = decode(whole, "")
        state["trainer"]["model"] = {"weight": torch.zeros(1)}
        return encode({k: v for k, v in state.items() if k != "format"})
    return {"pickle": trap(proof), "cut": whole[: len(whole) // 2], "empty": b"", "text": b"no checkpoint"}[damage]


def test_a_damaged_trial_folder(refuse: Refuse, study: Study, tmp_path: Path) -> None:
    export = ("export", "done", "--trial", "0", "--out", tmp_path / "model")
    settings = study.trial(0).path / "config.yaml"
    evidence = study.trial(0).path / "evidence" / "best.npz"
    whole = settings.read_bytes()
    for damaged_settings in (b"", b"\tx", b"config: 3\n", b"\xff"):
        settings.write_bytes(damaged_settings)
        refuse(*export, says=(str(settings), "is damaged", "restore it from a copy"))
    settings.write_bytes(whole)
    evidence.write_bytes(evidence.read_bytes()[:100])
    refuse(*export, says=(str(evidence), "not readable as evidence"))
    evidence.unlink()
    refuse(*export, says=(str(evidence), "no evidence"))
    study.trial(0).best.unlink()
    refuse(*export, says=("trial 0 of study 'done' kept no weights", "--keep-checkpoints"))
    refuse("export", "done", "--trial", "7", "--out", tmp_path / "model", says=("no finished trial 7", "status done"))


def test_data_that_has_changed_since(refuse: Refuse, study: Study, tmp_path: Path) -> None:
    file = study.path / "study.yaml"
    config = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump(config | {"fingerprint": "0" * 64}))
    refuse("export", "done", "--out", tmp_path / "model", says=(SMALL, "has changed", "restore the data"))


def test_a_study_without_a_finished_trial(refuse: Refuse, tmp_path: Path) -> None:
    begun_study(tmp_path / "studies", name="begun")
    refuse("export", "begun", "--out", tmp_path / "model", says=("no finished trial", "'raysearch resume begun'"))


def test_libraries_add_nothing_to_the_line(study: Study, tmp_path: Path) -> None:
    study.trial(0).best.write_bytes(trap(tmp_path / "proof"))  # torch warns of its pickle protocol
    export = ("export", "done", "--trial", "0", "--out", str(tmp_path / "model"))
    ended = subprocess.run([sys.executable, "-m", "raysearch", *export], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert ended.stderr.startswith(f"raysearch: {study.trial(0).best} is not a checkpoint")
