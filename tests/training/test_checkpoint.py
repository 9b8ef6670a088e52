"""Checkpoints are data: nothing in one is ever run."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raysearch.errors import StudyError
from raysearch.training import decode, encode

STATE = {"trainer": {"epoch": 3, "weights": torch.arange(4.0), "none": None}, "row": {"value": 0.5, "list": [1, "a"]}}
DATA = encode(STATE)


class Malicious:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def saved(value: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def refusal(data: bytes) -> str:
    with pytest.raises(StudyError) as caught:
        decode(data, "trials/3/checkpoint/last.pt")
    message = str(caught.value)
    assert message.startswith("trials/3/checkpoint/last.pt is not a checkpoint of raysearch (")
    assert "delete it" in message
    assert "\n" not in message
    return message


def test_what_goes_in_comes_out() -> None:
    state = decode(DATA, "here")
    assert torch.equal(state["trainer"].pop("weights"), torch.arange(4.0))
    assert (state["trainer"], state["row"]) == ({"epoch": 3, "none": None}, STATE["row"])


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, form: str) -> None:
    trap = tmp_path / "trap"
    state = {"format": 1, "trainer": Malicious(trap)}
    data = {
        "zip": lambda: saved(state),
        "legacy": lambda: saved(state, _use_new_zipfile_serialization=False),
        "pickle": lambda: pickle.dumps(state),
    }[form]()
    refusal(data)
    assert not trap.exists()
    if form == "pickle":
        pickle.loads(data)
        assert trap.exists(), "it would have worked"


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(2))
    return buffer.getvalue()


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a.txt", "b")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"\x80",
        b"{}",
        b"not a checkpoint\n" * 9,
        npz(),
        archive(),
        saved([1]),
        saved({"format": 2}),
        saved({}),
    ],
    ids=["empty", "x", "opcode", "json", "text", "npz", "zip", "list", "format", "dict"],
)
def test_other_files_are_refused(data: bytes) -> None:
    refusal(data)


def test_a_checkpoint_cut_anywhere_is_refused() -> None:
    for end in range(0, len(DATA), 7):
        refusal(DATA[:end])


@settings(max_examples=200)
@given(st.data())
def test_damage_is_refused_or_harmless(data: st.DataObject) -> None:
    damaged = bytearray(DATA)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(DATA) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert isinstance(decode(bytes(damaged), "here"), dict)
    except StudyError as error:
        assert "\n" not in str(error)  # noqa: PT017


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    refusal(data)
