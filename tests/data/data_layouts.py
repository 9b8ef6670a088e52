"""Small data folders in the very form of the published ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

NIH_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
NIH_ROWS = (
    ("00000001_000.png", "Cardiomegaly", 1),
    ("00000001_001.png", "Cardiomegaly|Effusion", 1),
    ("00000002_000.png", "No Finding", 2),
    ("00000003_000.png", "Pneumonia", 3),
    ("00000004_000.png", "Infiltration", 4),
    ("00000005_000.png", "Pneumonia|Infiltration", 5),
)
NIH_BOXES = (
    ("00000001_000.png", "Cardiomegaly", (256.0, 512.0, 256.0, 256.0)),
    ("00000004_000.png", "Infiltrate", (0.0, 0.0, 512.0, 256.0)),
    ("00000004_000.png", "Infiltrate", (0.0, 768.0, 512.0, 256.0)),
)


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def texture(seed: int, height: int, width: int, channels: int = 1) -> np.ndarray:
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def make_nih(
    root: Path,
    rows: Sequence[tuple[str, str, int]] = NIH_ROWS,
    boxes: Sequence[tuple[str, str, tuple[float, ...]]] = NIH_BOXES,
    form: str = "2020",
    archives: bool = False,
) -> Path:
    """ChestX-ray14: `form` 2017 has ages like 058Y and a trailing comma a line; archives are numbered folders."""
    root.mkdir(parents=True, exist_ok=True)
    old = form == "2017"
    lines = [NIH_HEADER + ("," if old else "")]
    for number, (name, findings, patient) in enumerate(rows):
        age, end = ("058Y", ",") if old else ("58", "")
        lines.append(f"{name},{findings},0,{patient},{age},M,PA,2682,2749,0.143,0.143{end}")
        folder = f"images_{1 + number % 2:03d}/images" if archives else "images"
        save(root / folder / name, texture(number, 64, 64))
    (root / ("Data_Entry_2017.csv" if old else "Data_Entry_2017_v2020.csv")).write_text("\n".join(lines) + "\n")
    box_lines = [f"{name},{finding}," + ",".join(map(str, box)) for name, finding, box in boxes]
    (root / "BBox_List_2017.csv").write_text(
        "\n".join(["Image Index,Finding Label,Bbox [x,y,w,h],,,", *box_lines]) + "\n"
    )
    names = [name for name, _, _ in rows]
    (root / "train_val_list.txt").write_text("\n".join(names[1:3]))
    (root / "test_list.txt").write_text("\n".join([names[0], *names[3:]]))
    return root


GLAS_FOLDER = "Warwick QU Dataset (Released 2016_07_08)"
GLAS_ROWS = (
    ("testA_1", 4, "benign"),
    ("testA_2", 5, "malignant"),
    ("testB_1", 5, "malignant"),
    ("train_1", 1, "benign"),
    ("train_2", 2, "malignant"),
    ("train_3", 3, "benign"),
    ("train_4", 6, "malignant"),
)


def make_glas(parent: Path, rows: Sequence[tuple[str, int, str]] = GLAS_ROWS) -> Path:
    """GlaS: carriage returns alone end the lines of the table, and spaces follow its commas."""
    root = parent / GLAS_FOLDER
    lines = ["name,patient ID, grade (GlaS), grade (Sirinukunwattana et al. 2015)"]
    for number, (name, patient, grade) in enumerate(rows):
        lines.append(f"{name},{patient}, {grade}, adenomatous")
        save(root / f"{name}.bmp", texture(number, 52, 78, 3))
        glands = np.zeros((52, 78), np.uint8)
        glands[:26, :39] = 1
        glands[26:, 39:] = 7
        save(root / f"{name}_anno.bmp", glands)
    (root / "Grade.csv").write_bytes("\r".join(lines).encode())
    return parent


COVID_HEADER = "patientid,offset,sex,age,finding,view,modality,folder,filename,url,"
COVID_ROWS = (
    ("1", "COVID-19", "X-ray", "a.jpg"),
    ("1", '"COVID-19, ARDS"', "X-ray", "b.png"),
    ("2", "No Finding", "X-ray", "c.png"),
    ("3", "todo", "X-ray", "d.png"),
    ("4", "Streptococcus", "X-ray", "e.jpeg"),
    ("5", "COVID-19", "CT", "f.nii.gz"),
    ("6", "Unknown", "X-ray", "g.png"),
    ("7", "Pneumonia/Viral/COVID-19", "X-ray", "h.png"),
)


def make_covid(root: Path) -> Path:
    """COVID-19 image data collection: masks are PNG data whatever their name ends in."""
    root.mkdir(parents=True, exist_ok=True)
    lines = [COVID_HEADER]
    for number, (patient, finding, modality, name) in enumerate(COVID_ROWS):
        lines.append(f"{patient},0,M,50,{finding},PA,{modality},images,{name},http://x,")
        if modality == "X-ray":
            save(root / "images" / name, texture(number, 40, 60, 3 if number % 2 else 1))
    (root / "metadata.csv").write_text("\n".join(lines))

    def mask(path: str, rows: slice, columns: slice) -> None:
        pixels = np.zeros((40, 60), np.uint8)
        pixels[rows, columns] = 255
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(target, format="PNG")

    for name in ("a.jpg", "b.png", "g.png"):
        mask(f"semantic_masks_v7labs_lungs/{name}", slice(0, 20), slice(0, 60))
    for name in ("a.png", "e.png"):
        mask(f"segmentations/left_lung/{name}", slice(0, 40), slice(0, 20))
        mask(f"segmentations/right_lung/{name}", slice(0, 40), slice(40, 60))
    mask("segmentations/consolidation/a.png", slice(0, 20), slice(0, 30))
    mask("segmentations/ground_glass_opacities/a.png", slice(20, 40), slice(0, 30))
    for name in ("pleural_effusion", "pneumothorax"):
        (root / "segmentations" / name).mkdir()
    return root
