"""Folders that are no export, exports that are damaged, and images that cannot be predicted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from cli.conftest import Call, Refuse
from raysearch.study import Study

FILES = ("config.yaml", "thresholds.json", "results.json", "split.csv", "weights.safetensors")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "scans" / "one.png"
    path.parent.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60), np.uint8)).save(path)
    return path


def test_export_into_a_folder_that_is_taken(refuse: Refuse, study: Study, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine").touch()
    refuse("export", "done", "--out", taken, says=(str(taken), "not an empty folder", "give another --out"))
    refuse("export", "done", "--out", taken / "mine", says=("not an empty folder", "give another --out"))
    below = taken / "mine" / "model"
    refuse("export", "done", "--out", below, says=(str(below), "cannot be written", "give another --out"))
    refuse("export", "done", says=("--out", "'raysearch export --help'"))
    assert [path.name for path in taken.iterdir()] == ["mine"]
    assert not (study.path.parent / "looks.jsonl").exists(), "no number was shown, so nobody looked"


def test_export_into_an_empty_folder(call: Call, study: Study, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert call("export", "done", "--out", tmp_path / "empty").code == 0
    assert (tmp_path / "empty" / "config.yaml").exists()


@pytest.mark.parametrize("command", [("verify",), ("predict", "IMAGE")])
def test_a_folder_that_is_no_export(refuse: Refuse, image: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    rest = (image, "--out", tmp_path / "out") if command[0] == "predict" else ()
    for folder in (tmp_path / "nowhere", image.parent, image):
        refuse(command[0], folder, *rest, says=(f"{folder} is not an export of raysearch", "raysearch export --out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "noise"])
def test_a_damaged_file(refuse: Refuse, model: Path, image: Path, tmp_path: Path, name: str, damage: str) -> None:
    file = model / name
    whole = file.read_bytes()
    file.unlink()
    if damage != "missing":
        noise = np.random.default_rng(1).bytes(200)
        file.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2 + 1], "noise": noise}[damage])
    if (name, damage) == ("split.csv", "cut"):  # every line that is left is right: only the numbers tell
        file.write_bytes(whole[: len(whole) // 2].rpartition(b"\n")[0] + b"\n")
    says = (str(model), name if damage == "missing" else "export the study again")
    refuse("verify", model, says=says)
    refuse("predict", model, image, "--out", tmp_path / "out", says=says)
    assert not (tmp_path / "out").exists()


def edited(name: str, old: str, new: str) -> Callable[[Path], None]:
    def edit(model: Path) -> None:
        text = (model / name).read_text()
        assert old in text
        (model / name).write_text(text.replace(old, new, 1))

    return edit


def weights_of_another_shape(model: Path) -> None:
    state = load_file(model / "weights.safetensors")
    state[next(iter(state))] = torch.zeros(3)
    save_file(state, model / "weights.safetensors")


def weights_that_are_not_finite(model: Path) -> None:
    state = load_file(model / "weights.safetensors")
    next(tensor for tensor in state.values() if tensor.is_floating_point()).fill_(torch.nan)
    save_file(state, model / "weights.safetensors")


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (edited("config.yaml", "method: cam_avg", "method: cam_avgg"), ("cam_avgg", "did you mean 'cam_avg'?")),
        (edited("config.yaml", "method: cam_avg", "method: unet"), ("damaged", "export the study again")),
        (edited("config.yaml", "settings:", "setings:"), ("damaged", "'settings'", "export the study again")),
        (edited("config.yaml", "  lr:", "  lrr:"), ("damaged", "lrr", "export the study again")),
        (edited("config.yaml", "resnet10_slim", "resnt18"), ("unknown backbone 'resnt18'", "did you mean")),
        (edited("config.yaml", "resnet10_slim", "resnet18"), ("weights.safetensors does not fit",)),
        (edited("config.yaml", "channels: 1", "channels: 0"), ("damaged", "0 channels")),
        (edited("config.yaml", "channels: 1", "channels: 3"), ("weights.safetensors does not fit",)),
        (edited("config.yaml", "  - nodule\n", ""), ("weights.safetensors does not fit",)),
        (edited("thresholds.json", '"mask_threshold"', '"maskthreshold"'), ("damaged", "mask_threshold")),
        (edited("thresholds.json", '"value": 0', '"value": 7'), ("damaged", "a threshold must lie in [0, 1]")),
        (edited("thresholds.json", '"value": 0', '"value": NaN, "old": 0'), ("damaged", "a threshold must lie")),
        (edited("results.json", '"metrics"', '"metric"'), ("damaged", "'metrics'")),
        (edited("results.json", '"metrics": {', '"metrics": {"x": "y",'), ("damaged", "'y'")),
        (edited("split.csv", ",test", ",tset"), ("damaged", "split.csv", "train, tuning, test")),
        (weights_of_another_shape, ("weights.safetensors does not fit", "size mismatch")),
        (weights_that_are_not_finite, ("weights.safetensors does not fit", "not finite")),
    ],
)
def test_an_export_whose_files_contradict_each_other(
    refuse: Refuse, model: Path, edit: Callable[[Path], None], says: tuple[str, ...]
) -> None:
    edit(model)
    refuse("verify", model, says=says)


@pytest.mark.parametrize(
    "edit",
    [
        edited("results.json", '"f1_plus": 0.', '"f1_plus": 0.9'),
        edited("thresholds.json", '"value": 0.', '"value": 0.9'),
    ],
)
def test_edited_numbers_do_not_verify(call: Call, model: Path, edit: Callable[[Path], None]) -> None:
    edit(model)
    verified = call("verify", model)
    assert verified.code == 1
    assert "DIFFERENT by up to" in verified.out
    assert not json.loads(call("verify", model, "--json").out)["ok"]


def test_an_image_that_has_left_the_split(refuse: Refuse, model: Path) -> None:
    split = (model / "split.csv").read_text()
    last = split.splitlines()[-1].split(",")[1]
    (model / "split.csv").write_text(split.replace(last, "elsewhere"))
    refuse("verify", model, says=("1 images of the test split are not in the data", "'elsewhere'", "--data"))


def test_data_of_another_kind(refuse: Refuse, model: Path) -> None:
    for data in ("phantom:images=61,size=32", "phantom:images=60,size=32,seed=1"):
        refuse("verify", model, "--data", data, says=(data, "is not the data of this export", "--data"))
    refuse("verify", model, "--data", "nope", says=("unknown kind of data 'nope'", "known:"))
    refuse("verify", model, "--data", "", says=("unknown kind of data ''", "known:"))


def test_data_that_has_moved(refuse: Refuse, model: Path) -> None:
    edited("config.yaml", "source: phantom:images=60,size=32", "source: glas:/was/here")(model)
    refuse("verify", model, says=("/was/here does not exist", "if the data has moved, say where it is with --data"))


def missing(folder: Path) -> Path:
    return folder / "missing.png"


def text(folder: Path) -> Path:
    (folder / "text.png").write_text("not a picture")
    return folder / "text.png"


def truncated(folder: Path) -> Path:
    (folder / "cut.png").write_bytes((folder / "one.png").read_bytes()[:-200])
    return folder / "cut.png"


def empty(folder: Path) -> Path:
    (folder / "empty.png").touch()
    return folder / "empty.png"


def floating(folder: Path) -> Path:
    Image.fromarray(np.zeros((4, 4), np.float32)).save(folder / "float.tiff")
    return folder / "float.tiff"


def too_long(folder: Path) -> Path:
    return folder / ("x" * 300 + ".png")


def without_images(folder: Path) -> Path:
    (folder / "inner").mkdir()
    (folder / "inner" / "notes.txt").touch()
    return folder / "inner"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (missing, ("does not exist", "expected image files, or folders of them")),
        (too_long, ("does not exist", "expected image files, or folders of them")),
        (text, ("not an image of any known format", "leave it out")),
        (truncated, ("corrupt or truncated", "leave it out")),
        (empty, ("zero bytes", "leave it out")),
        (floating, ("floating-point pixels", "save it with 8 or 16 bits")),
        (without_images, ("holds no image", ".png", "name the folder that does")),
    ],
)
def test_images_that_cannot_be_predicted(
    refuse: Refuse, model: Path, image: Path, tmp_path: Path, make: Callable[[Path], Path], says: tuple[str, ...]
) -> None:
    bad = make(image.parent)
    refuse("predict", model, image, bad, "--out", tmp_path / "out", says=(str(bad), *says))
    assert not (tmp_path / "out").exists(), "nothing is written before every image has been looked at"


def test_predictions_that_cannot_be_written(refuse: Refuse, model: Path, image: Path, tmp_path: Path) -> None:
    refuse("predict", model, image, says=("--out", "'raysearch predict --help'"))
    refuse("predict", model, "--out", tmp_path / "out", says=("IMAGE", "'raysearch predict --help'"))
    for out in (image, image / "out"):
        refuse("predict", model, image, "--out", out, says=(str(out), "cannot be written", "give another --out"))
    before = sorted(image.parent.iterdir())
    refuse("predict", model, image, "--out", image.parent, says=("holds an image to predict", "give another folder"))
    shutil.copy(image, tmp_path / "elsewhere.png")
    refuse("predict", model, tmp_path / "elsewhere.png", image, "--out", image.parent, says=("give another folder",))
    assert sorted(image.parent.iterdir()) == before
