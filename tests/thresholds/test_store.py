from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threshold_examples import MAKERS, assert_equal, random_batch

from raysearch.errors import StudyError
from raysearch.thresholds import KINDS, Counts, Evidence, encode_evidence, load_evidence


@pytest.fixture(scope="module")
def evidence() -> dict[str, Evidence]:
    return {kind: make(np.arange(6)) for kind, make in MAKERS.items()}


@pytest.fixture
def path(evidence: dict[str, Evidence], tmp_path: Path) -> Path:
    (tmp_path / "best.npz").write_bytes(encode_evidence(evidence))
    return tmp_path / "best.npz"


def refusal(path: Path, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(StudyError) as raised:
        load_evidence(path, *args, **kwargs)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_round_trip_of_every_kind(evidence: dict[str, Evidence], path: Path) -> None:
    again = load_evidence(path, classes=["c0", "c1", "c2"])
    assert list(again) == list(KINDS)
    for kind, part in evidence.items():
        assert_equal(again[kind], part)


def test_only_what_is_asked_for_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = np.lib.npyio.NpzFile.__getitem__

    def spy(file: Any, name: str) -> Any:
        read.append(name)
        return original(file, name)

    monkeypatch.setattr(np.lib.npyio.NpzFile, "__getitem__", spy)
    assert set(load_evidence(path, {"counts", "logits"})) == {"counts", "logits"}
    assert {name.split(".")[0] for name in read} == {"counts", "logits", "origin"}


def test_counts_are_small() -> None:
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 256, (8, 1, 224, 224), dtype=np.uint8)
    masks = (rng.random(maps.shape) < 0.15).astype(np.uint8)
    counts = Counts.from_maps(maps, masks, np.ones((8, 1), np.int8), np.arange(8), ["p"] * 8, ["a"])
    assert len(encode_evidence({"counts": counts})) < 8 * 2048


def test_every_cut_is_noticed(path: Path) -> None:
    whole = path.read_bytes()
    for size in range(0, len(whole), 997):
        path.write_bytes(whole[:size])
        refusal(path)


def test_a_flipped_byte_is_noticed(path: Path) -> None:
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 3] ^= 0xFF
    path.write_bytes(damaged)
    assert "not readable as evidence" in refusal(path)


def test_other_classes_missing_and_unknown_kinds(evidence: dict[str, Evidence], tmp_path: Path) -> None:
    path = tmp_path / "best.npz"
    path.write_bytes(encode_evidence({kind: evidence[kind] for kind in ("counts", "logits")}))
    assert "expected nodule, mass: it is evidence of another method" in refusal(path, classes=["nodule", "mass"])
    assert "holds no components, maps, only counts, logits" in refusal(path, ["counts", "maps", "components"])
    np.savez(path, **{"shapes.image": np.arange(3)})
    assert "unknown kind shapes" in refusal(path)
    assert "holds no counts, only shapes" in refusal(path, ["counts"])
    np.savez(path)
    assert "holds no counts, only nothing" in refusal(path, ["counts"])
    assert "no evidence there" in refusal(tmp_path / "none.npz")


def test_a_name_must_be_the_kind_and_classes_must_agree(evidence: dict[str, Evidence]) -> None:
    with pytest.raises(ValueError, match="by its kind"):
        encode_evidence({"maps": evidence["counts"]})
    other = dataclasses.replace(evidence["logits"], classes=("x", "y", "z"))
    with pytest.raises(ValueError, match="same classes"):
        encode_evidence({"counts": evidence["counts"], "logits": other})


@pytest.mark.parametrize(
    "change",
    [
        {"foreground": np.zeros((2, 256), np.uint32)},
        {"image": np.zeros((3, 3))},
        {"patient": np.array([{"pickled": 1}], dtype=object)},
        {"label": None},
    ],
)
def test_contradictions_and_pickles_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    arrays = {**dataclasses.asdict(Counts.from_maps(**random_batch(0))), **change}
    np.savez(tmp_path / "bad.npz", **{f"counts.{name}": value for name, value in arrays.items() if value is not None})
    assert "not readable as evidence" in refusal(tmp_path / "bad.npz")


def test_a_file_that_unpacks_too_far_is_not_unpacked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raysearch.thresholds._store._LIMIT", 1000)
    assert "more than the limit" in refusal(path)
