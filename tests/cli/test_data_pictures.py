"""`data check --pictures`: a sheet to look at, in a folder of its own."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from cli.conftest import Call, Refuse

SMALL = "phantom:images=16,size=32"


def test_a_sheet_is_written(call: Call, tmp_path: Path) -> None:
    checked = call("data", "check", SMALL, "--pictures", tmp_path / "look")
    assert checked.code == 0
    assert checked.out.splitlines()[-1] == f"wrote {tmp_path / 'look' / 'sheet.png'}"
    assert Image.open(tmp_path / "look" / "sheet.png").width > 1000


def test_machines_are_told_what_was_drawn(call: Call, tmp_path: Path) -> None:
    told = json.loads(call("data", "check", SMALL, "--pictures", tmp_path / "look", "--json").out)
    assert told["pictures"] == [str(tmp_path / "look" / "sheet.png")]
    assert "pictures" not in json.loads(call("data", "check", SMALL, "--json").out)


def test_a_folder_with_something_in_it_is_left_alone(refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    for taken in (tmp_path, tmp_path / "mine"):
        says = (str(taken), "exists and is not an empty folder", "give another --pictures")
        refuse("data", "check", SMALL, "--pictures", taken, says=says)
    below = tmp_path / "mine" / "look"
    refuse("data", "check", SMALL, "--pictures", below, says=("cannot be written", "give another --pictures"))
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_data_with_problems_has_no_pictures(refuse: Refuse, tmp_path: Path) -> None:
    refuse("data", "check", f"glas:{tmp_path / 'none'}", "--pictures", tmp_path / "look", says=("does not exist",))
    assert not (tmp_path / "look").exists()
