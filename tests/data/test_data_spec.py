from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysearch.data import DataSpec, all_kinds
from raysearch.errors import DataError


def test_options_take_the_kinds_defaults() -> None:
    spec = DataSpec.parse("chestxray14:/data/nih")
    assert spec.path == "/data/nih"
    assert dict(spec.options) == {
        "task": "findings",
        "classes": "14",
        "size": 512,
        "bits": "auto",
        "subset": 0,
        "normal": 0,
        "seed": 0,
        "frame": "1024",
        "missing": "error",
        "fit": "pad",
    }
    assert str(spec) == "chestxray14:/data/nih"


def test_options_are_given_in_any_order_and_spelled_canonically() -> None:
    spec = DataSpec.parse("chestxray14:/data/nih, size=128 ,task=normal-vs-pneumonia")
    assert spec.size == 128
    assert str(spec) == "chestxray14:/data/nih,task=normal-vs-pneumonia,size=128"
    assert hash(spec) == hash(DataSpec.parse(str(spec)))


@pytest.mark.parametrize("text", ["phantom", "phantom:", " phantom "])
def test_phantom_needs_no_folder(text: str) -> None:
    assert DataSpec.parse(text).path is None
    assert str(DataSpec.parse(text)) == "phantom"
    assert DataSpec.parse("phantom:images=400,size=96")["size"] == 96


def test_paths_may_hold_commas_colons_and_equal_signs() -> None:
    assert DataSpec.parse("glas:/a,b/c:d/x=1,size=64").path == "/a,b/c:d/x=1"


def test_paths_become_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert DataSpec.parse("glas:~/data").path == "/home/someone/data"
    assert DataSpec.parse("glas:data").path == os.path.abspath("data")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chestxray:/x", "unknown kind of data 'chestxray'; did you mean 'chestxray14'?"),
        ("chestxray14", "names no folder; expected chestxray14:FOLDER"),
        ("phantom:/x", "phantom takes no folder, found '/x'"),
        ("glas:/x,sizes=3", "glas has no option 'sizes'; did you mean 'size'?"),
        ("covid_chestxray:/x,task=lung", "unknown task 'lung'; did you mean 'lungs'?"),
        ("covid_chestxray:/x,task=findings", "unknown task 'findings'"),
        ("glas:/x,size=big", "size=big; expected a whole number from 16 to 4096"),
        ("glas:/x,size=8", "size=8; expected a whole number from 16 to 4096"),
        ("phantom:annotated=2", "annotated=2; expected a number from 0 to 1"),
        ("phantom:annotated=nan", "annotated=nan; expected a number from 0 to 1"),
        ("glas:/x,size=64,oops", "'oops' in '/x,size=64,oops' has no value; expected option=value"),
    ],
)
def test_errors_name_what_was_found_and_the_nearest(text: str, expected: str) -> None:
    with pytest.raises(DataError) as error:
        DataSpec.parse(text)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


@given(
    kind=st.sampled_from(all_kinds()),
    draw=st.data(),
    path=st.from_regex(r"/[a-z:, /]{0,12}[a-z]", fullmatch=True),
)
def test_canonical_spelling_parses_to_the_same_spec(kind, draw: st.DataObject, path: str) -> None:
    chosen = []
    for option in draw.draw(st.lists(st.sampled_from(kind.all_options), unique_by=lambda option: option.name)):
        value = draw.draw(st.sampled_from(option.choices)) if option.choices else int(min(option.high, option.low + 7))
        chosen.append(f"{option.name}={value}")
    spec = DataSpec.parse(f"{kind.name}:" + ",".join(([path] if kind.needs_path else []) + chosen))
    assert DataSpec.parse(str(spec)) == spec
