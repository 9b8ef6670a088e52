from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.data_layouts import GLAS_FOLDER, make_glas, make_nih, save, texture
from raysearch.data import DataSpec, check
from raysearch.data._glance import ClassLooks, Looks, glance, glance_notes


def looks(*masks: np.ndarray) -> ClassLooks:
    seen = Looks.of(0)
    for mask in masks:
        seen.add_region(mask.astype(np.uint8))
    shares = np.array([mask.mean() for mask in masks])
    return ClassLooks("lungs", shares, np.array(seen.pixels), np.array(seen.framed))


def notes(*masks: np.ndarray, official: tuple[str, ...] = ("",)) -> str:
    return "; ".join(glance_notes(np.array([[0, 255]], np.uint8), ["a"], [looks(*masks)], np.array(official)))


def blank() -> np.ndarray:
    return np.zeros((40, 40), bool)


def test_a_usual_region_is_not_spoken_of() -> None:
    usual = blank()
    usual[10:40, 0:20] = True  # cut by two borders
    assert notes(usual, usual) == ""


def test_a_class_that_covers_nearly_all_of_its_images() -> None:
    most = ~blank()
    most[:2, :30] = False  # 96 % of the picture, not along the upper border
    assert notes(most, most) == (
        "lungs (2 of 2): covers more than 90% of its images on average: is the background marked instead?"
    )
    assert notes(most, blank() | (np.arange(40) < 20)) == ""


def test_a_class_along_all_borders() -> None:
    around = ~blank()
    around[8:32, 8:32] = False
    said = "lungs ({} of {}): covers all four borders of most of its images: is the background marked instead?"
    assert notes(around) == said.format(1, 1)
    assert notes(around, around, ~around) == said.format(2, 3)
    assert notes(around, ~around) == ""


def test_a_class_of_which_no_shape_is_left() -> None:
    speck = blank()
    speck[3, 4] = True
    assert notes(speck, ~blank() & (np.arange(40) < 20)) == (
        "lungs (1 of 2): covers a pixel or less of some images: nothing of its shape is left, ask for a larger size="
    )


def test_an_empty_published_part() -> None:
    assert notes(official=("train", "valid", "")) == "published test is empty: --split official cannot be used"
    assert notes(official=("test",)) == "published train is empty: --split official cannot be used"
    assert notes(official=("train", "test")) == notes(official=("", "")) == ""


def test_a_narrow_image_is_named(tmp_path: Path) -> None:
    root = make_nih(tmp_path / "nih")
    save(root / "images" / "00000002_000.png", texture(1, 64, 64) // 16)  # 0 to 15
    save(root / "images" / "00000004_000.png", texture(2, 64, 64) // 15)  # 0 to 17
    report = check(DataSpec.parse(f"chestxray14:{root},size=64"))
    assert [note for note in report.notes if "sixteenth" in note] == [
        "1 of 6 images use less than a sixteenth of the values 0 to 255: 00000002_000.png (0 to 15): are they blank, or"
        " do their files hold more bits than they use?"
    ]
    assert report.glance[0].endswith("the narrowest 16 values")


def test_padding_is_no_part_of_what_is_seen(tmp_path: Path) -> None:
    """Wide pictures of 200 to 210 that are marked all over: the padding is 0 and not marked."""
    make_glas(tmp_path)
    for path in (tmp_path / GLAS_FOLDER).glob("*.bmp"):
        marked = "anno" in path.name
        save(path, np.full((52, 78), 1, np.uint8) if marked else 200 + texture(3, 52, 78, 3) // 24)
    said = check(DataSpec.parse(f"glas:{tmp_path},size=78"), "single").notes
    assert (
        "benign (3 of 3), malignant (4 of 4): covers more than 90% of its images on average: is the background marked"
        " instead?"
    ) in said
    assert any(note.startswith("7 of 7 images use less than a sixteenth") and "(200 to 210)" in note for note in said)


def test_the_report_ends_with_it() -> None:
    report = check(DataSpec.parse("phantom:images=40,size=32"))
    lines = report.lines()
    first = next(
        place for place, line in enumerate(lines) if line.startswith("at a glance: the median image has values")
    )
    assert lines[first - 1].startswith("pneumothorax")
    assert [line.split(" covers ")[0] for line in lines[first + 1 : first + 5]] == [
        f"at a glance: {name}" for name in ("nodule", "consolidation", "effusion", "pneumothorax")
    ]
    assert lines[-1] == "no problems"
    assert report.as_dict()["glance"] == pytest.approx(report.glance)


def test_many_classes_have_a_line_together() -> None:
    usual = [
        ClassLooks(f"bird {kind}", np.array([0.1, 0.3]), np.array([kind, 40]), np.zeros(2, bool)) for kind in range(15)
    ]
    values = np.array([[3, 250]], np.uint8)
    assert len(glance(values, usual[:14])) == 15
    assert glance(values, usual) == (
        "the median image has values from 3 to 250 of 0 to 255, the narrowest 248 values",
        "a class of 15 covers 20.0% of its images on average (10.0% to 30.0%), 27 pixels by the median (from 0)",
    )
    assert glance_notes(values, ["a"], usual, np.array([""])) == (
        "bird 0 (1 of 2), bird 1 (1 of 2): covers a pixel or less of some images: nothing of its shape is left, ask for"
        " a larger size=",
    )
