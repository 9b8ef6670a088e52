"""Arguments that are not UTF-8: what is only opened works, what would be recorded is refused in one line."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from export.finished_studies import SMALL
from PIL import Image

from cli.conftest import Refuse
from raysearch.cli import main
from raysearch.study import Study

RAW = "r\udcf6ntgen"
"""As Python hands over a name in Latin-1."""

PLAN = ("plan", "--method", "cam_avg", "--data", SMALL)


@pytest.mark.parametrize(
    "argv",
    [
        (*PLAN[:-1], f"kermany:/{RAW},task=normal-vs-pneumonia"),
        (*PLAN, "--study", RAW),
        (*PLAN, "--fix", f"backbone={RAW}"),
        (*PLAN, "--fix", f"{RAW}=1"),
        (*PLAN, "--set", f"backbone=choice:{RAW},resnet18"),
        (*PLAN, "--space", f"{RAW}.yaml"),
        (*PLAN, "--split", f"{RAW}.csv"),
        (*PLAN, "--metric", RAW),
        (*PLAN, "--sampler", RAW),
        (*PLAN, "--time", RAW),
        (*PLAN, "--preset", RAW),
        (*PLAN, "--samples", RAW),
        (*PLAN, "--address", RAW),
        (*PLAN, "--keep-evidence", RAW),
        (*PLAN, f"--{RAW}"),
        (*PLAN, RAW),
        ("plan", "--method", RAW),
        ("tune", "--method", f"{RAW}:Class"),
        (RAW,),
        ("status", RAW),
        ("status", f"./{RAW}"),
        ("resume", RAW),
        ("resume", "--time", RAW),
        ("stop", RAW),
        ("rethreshold", RAW),
        ("export", RAW, "--out", "x"),
        ("dashboard", RAW),
        ("verify", RAW),
        ("evaluate", RAW, "--data", SMALL),
        ("predict", RAW, RAW, "--out", RAW),
        ("spaces", RAW),
        ("spaces", "cam_avg", "--space", f"{RAW}.yaml"),
        ("data", "check", RAW),
        ("data", "check", f"kermany:/{RAW}"),
        ("data", RAW),
    ],
)
def test_refused_in_one_line(refuse: Refuse, argv: tuple[str, ...]) -> None:
    line = refuse(*argv)
    assert r"f6ntgen" in line or "no study" in line


@pytest.mark.parametrize(
    "argv",
    [
        ("status", "--mean-over", RAW),
        ("rethreshold", "--metric", RAW),
        ("rethreshold", "--metric", f"iou,{RAW}"),
    ],
)
def test_names_in_a_study(refuse: Refuse, study: Study, argv: tuple[str, ...]) -> None:
    refuse(*argv, says=(r"r\xf6ntgen",))


Code = Callable[..., bytes]


@pytest.fixture
def done(capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Code:
    """Runs a command to its good end and returns what it printed: names of files as they are."""
    monkeypatch.setattr(sys, "path", [*sys.path])

    def done(*argv: object) -> bytes:
        capsysbinary.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in argv])
        out, err = capsysbinary.readouterr()
        assert ended.value.code == 0, err
        return out

    return done


def test_folders_are_opened_and_written(done: Code, study: Study, model: Path, tmp_path: Path) -> None:
    odd = tmp_path / RAW
    shutil.copytree(model, odd / "model")
    assert os.fsencode(RAW) in done("verify", odd / "model")
    done("export", "done", "--out", odd / "again")
    for name in ("README.md", "config.yaml", "results.json", "environment.json"):
        text = (odd / "again" / name).read_text("utf-8")
        assert not name.endswith("json") or json.loads(text)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)).save(os.fspath(odd / "a.png"))
    assert os.fsencode(RAW) in done("predict", odd / "model", odd / "a.png", "--out", odd / "out")
    answers = json.loads(done("predict", odd / "model", odd / "a.png", "--out", odd / "out2", "--json"))
    assert answers[0]["image"] == str(odd / "a.png")
    json.loads(done("evaluate", odd / "model", "--data", f"{SMALL},seed=1", "--json"))
    done("data", "check", SMALL, "--pictures", odd / "look")


def test_a_studies_folder(done: Code, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.move(tmp_path / "studies", tmp_path / RAW)
    monkeypatch.setenv("RAYSEARCH_STUDIES", str(tmp_path / RAW))
    for argv in (("studies",), ("studies", "--json"), ("status",), ("status", tmp_path / RAW / "done")):
        done(*argv)
    done("rethreshold", "--metric", "iou")
    done("export", "--out", tmp_path / "new")
    yaml.safe_load((tmp_path / RAW / "done" / "study.yaml").read_text("utf-8"))
