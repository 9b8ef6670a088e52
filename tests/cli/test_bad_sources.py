"""Sources, splits in files and budgets that cannot be meant: one line, exit code 2, and no search begins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Call, Refuse

CLS = "phantom:task=normal-vs-abnormal,images=60,size=32"
SEG = "phantom:task=lungs,images=40,size=32"
BOTH = ("tune", "--method", "multimix", "--data", f"cls={CLS},seg={SEG}", "--fix", "batch=4")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("phantom", ("multimix trains on two sources", "--data cls=...,seg=...")),
        (f"cls={CLS}", ("no source 'seg'", "--data cls=...,seg=...")),
        (f"cls={CLS},sgm={SEG}", ("unknown source 'sgm'", "did you mean 'seg'?")),
        (f"cls={CLS},seg=phantm", ("unknown kind of data 'phantm'", "did you mean 'phantom'?")),
        (f"cls={CLS},seg={SEG.replace('size=32', 'size=64')}", ("cls of size 32 and seg of size 64", "option size=")),
        (f"cls={CLS},seg=montgomery", ("names no folder",)),
        (f"cls={CLS},seg={SEG},annotated=0", ("seg=phantom", "leaves tuning empty")),
    ],
)
def test_sources(refuse: Refuse, data: str, says: tuple[str, ...]) -> None:
    refuse("tune", "--method", "multimix", "--data", data, says=says)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--split", "cls=random"), ("--split cls=random", "cls=HOW,seg=HOW")),
        (("--split", "cls=random,seg=official"), ("seg=phantom", "has no published split")),
        (("--split", "cls=random,seg=nope.csv"), ("--split nope.csv", "there is no such file", "patient,split")),
        (("--split", "test=nope.txt"), ("there is no file 'nope.txt'", "one name a line")),
        (("--split", "fold:1/99"), ("fold:1/99", "expected at most as many folds")),
        (("--labelled", "2.5"), ("--labelled 2.5", "a whole number")),
        (("--labelled", "nan"), ("--labelled", "not a finite number")),
        (("--labelled", "-1"), ("--labelled", "x>=0")),
        (("--annotated", "0.001"), ("--annotated 0.001", "leaves no annotated image")),
        (("--annotated", "7.5"), ("--annotated 7.5", "a whole number")),
    ],
)
def test_splits_and_budgets(refuse: Refuse, options: tuple[str, ...], says: tuple[str, ...]) -> None:
    refuse(*BOTH, *options, says=says)


def test_labels_are_kept_back_only_from_those_that_learn_without(refuse: Refuse) -> None:
    refuse("tune", "--method", "cam_avg", "--labelled", "5", says=("--labelled 5: cam_avg learns nothing",))


def test_a_file_of_the_wrong_images(refuse: Refuse, tmp_path: Path) -> None:
    table = tmp_path / "s.csv"
    table.write_text("image,split\nlungs/1,train\n")
    refuse(*BOTH, "--split", table, says=("'lungs/1' is of no source", "begin with cls/ or seg/"))
    table.write_text("patient,split\ncls/1,nowhere\n")
    refuse(*BOTH, "--split", table, says=("patient 'cls/1' is in 'nowhere'", "train, tuning, test"))
    table.write_bytes(b"\xff\xfe\x00")
    refuse(*BOTH, "--split", table, says=(str(table), "cannot be read"))
    refuse(*BOTH, "--split", f"test={table}", says=(str(table), "cannot be read"))


def test_check_of_two_sources(call: Call) -> None:
    outcome = call("data", "check", f"cls={CLS},seg={SEG}", "--json")
    assert outcome.code == 0
    found = json.loads(outcome.out)
    assert [found["sources"][name]["images"] for name in ("cls", "seg")] == [60, 40]
    assert found["joined"]["images"] == 100
    assert "together:" in call("data", "check", f"cls={CLS},seg={SEG}").out
