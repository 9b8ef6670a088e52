"""More small data folders in the very form of the published ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image

from data.data_layouts import save, texture

CHEXPERT_COLUMNS = (
    *("No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema"),
    *("Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture"),
    "Support Devices",
)
CHEXPERT_HEADER = "Path,Sex,Age,Frontal/Lateral,AP/PA"

CHEXLOCALIZE_EMPTY = (
    *("Enlarged Cardiomediastinum", "Lung Lesion", "Edema", "Consolidation", "Atelectasis", "Pneumothorax"),
    *("Pleural Effusion", "Support Devices"),
)
"""What is not seen in the image that is annotated; run lengths name all the same."""

ChexpertRow = tuple[str, Mapping[str, float]]
CHEXPERT_TRAIN: tuple[ChexpertRow, ...] = (
    ("patient00001/study1/view1_frontal.jpg", {"No Finding": 1, "Support Devices": 1}),
    ("patient00002/study1/view1_frontal.jpg", {"Edema": -1, "Pleural Effusion": 0, "Lung Opacity": 1}),
    ("patient00002/study2/view1_frontal.jpg", {"Pneumonia": 1, "Edema": 0}),
    ("patient00002/study2/view2_lateral.jpg", {"Pneumonia": 1}),
    ("patient00003/study1/view1_frontal.jpg", {"Cardiomegaly": 1}),
)
_ZEROS = dict.fromkeys(CHEXPERT_COLUMNS, 0)
CHEXPERT_VALID: tuple[ChexpertRow, ...] = (
    ("patient64541/study1/view1_frontal.jpg", {**_ZEROS, "Cardiomegaly": 1, "Lung Opacity": 1}),
    ("patient64542/study1/view1_frontal.jpg", {**_ZEROS, "No Finding": 1}),
)
CHEXPERT_TEST: tuple[ChexpertRow, ...] = (("patient64741/study1/view1_frontal.jpg", {**_ZEROS, "Edema": 1}),)


def slow_encode(mask: np.ndarray) -> str:
    """COCO's compressed run lengths, one pixel and one character after the other."""
    runs, value, length = [], 0, 0
    for pixel in mask.T.ravel().tolist():
        if int(pixel) != value:
            runs.append(length)
            value, length = int(pixel), 0
        length += 1
    runs.append(length)
    text = ""
    for number, run in enumerate(runs):
        rest = run - runs[number - 2] if number > 2 else run
        more = True
        while more:
            group, rest = rest & 31, rest >> 5
            more = rest != (-1 if group & 16 else 0)
            text += chr(48 + (group | 32 * more))
    return text


def chexpert_mask(rows: slice = slice(0, 0), columns: slice = slice(0, 0)) -> dict[str, object]:
    mask = np.zeros((60, 80), np.uint8)
    mask[rows, columns] = 1
    return {"size": [60, 80], "counts": slow_encode(mask)}


def chexpert_table(part: str, rows: Sequence[ChexpertRow], release: str, view: str = "Frontal,AP") -> str:
    lines = [f"{CHEXPERT_HEADER},{','.join(CHEXPERT_COLUMNS)}"]
    for name, labels in rows:
        cells = [f"{labels[column]:.1f}" if column in labels else "" for column in CHEXPERT_COLUMNS]
        lines.append(f"{release}/{part}/{name},Female,68,{view},{','.join(cells)}")
    return "\n".join(lines) + "\n"


def make_chexpert(
    parent: Path,
    train: Sequence[ChexpertRow] = CHEXPERT_TRAIN,
    valid: Sequence[ChexpertRow] = CHEXPERT_VALID,
    test: Sequence[ChexpertRow] = CHEXPERT_TEST,
    release: str = "CheXpert-v1.0-small",
    localized: bool = True,
) -> Path:
    """CheXpert with the test part of CheXlocalize's release in it, and the latter's annotations beside it."""
    root = parent / release
    for number, (part, rows) in enumerate((("train", train), ("valid", valid), ("test", test))):
        for at, (name, _) in enumerate(rows):
            save(root / part / name, texture(10 * number + at, 60, 80))
    (root / "train.csv").write_text(chexpert_table("train", train, release))
    (root / "valid.csv").write_text(chexpert_table("valid", valid, release))
    columns = [column for column in CHEXPERT_COLUMNS if column != "No Finding"] + ["No Finding"]
    lines = ["Path," + ",".join(columns)]
    for name, labels in test:
        lines.append(f"test/{name}," + ",".join(f"{labels[column]:.1f}" for column in columns))
    (root / "test_labels.csv").write_text("\n".join(lines))
    if localized:
        masks = {
            "patient64541_study1_view1_frontal": {
                "Cardiomegaly": chexpert_mask(slice(30, 60), slice(20, 60)),
                "Airspace Opacity": chexpert_mask(slice(0, 30), slice(0, 20)),
                **{name: chexpert_mask() for name in CHEXLOCALIZE_EMPTY},
            }
        }
        write_json(parent / "CheXlocalize" / "gt_segmentations_val.json", masks)
        polygon = {"img_size": [60, 80], "Edema": [[[0, 0], [39, 0], [39, 59], [0, 59]]]}
        write_json(parent / "CheXlocalize" / "gt_annotations_test.json", {"patient64741_study1_view1_frontal": polygon})
    return root


def write_json(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


JSRT_STEMS = ("JPCLN001", "JPCLN002", "JPCNN001", "JPCNN002")
JSRT_NODULES = (
    "JPCLN001.IMG\t5\t15\t53\tFemale\t1634\t692\tmalignant\tl.upper lobe\tlung cancer",
    "JPCLN002.IMG\t5\t70\t78\tFemale\t1024\t1024\tmalignant\tr.upper lobe\tlung cancer",
)


def make_jsrt(root: Path, scr: str = "scratch", nodules: Sequence[str] = JSRT_NODULES) -> Path:
    """JSRT as the release has it, SCR's odd images in fold1 and even ones in fold2; masks are GIF of half the size."""
    (root / "All247images").mkdir(parents=True)
    for number, stem in enumerate(JSRT_STEMS):
        values = np.full((2048, 2048), 1000 * number, ">u2")
        values[:1024] = 4095
        values.tofile(root / "All247images" / f"{stem}.IMG")
        fold = root / scr / ("fold1" if stem.endswith("1") else "fold2") / "masks"
        for structure, columns in (
            ("left lung", slice(512, 1024)),
            ("right lung", slice(0, 256)),
            ("heart", slice(256, 512)),
        ):
            mask = np.zeros((1024, 1024), np.uint8)
            mask[512:, columns] = 255
            save(fold / structure / f"{stem}.gif", mask)
    if nodules:
        table = root / "Clinical_Information" / "CLNDAT_EN.txt"
        table.parent.mkdir()
        table.write_text("\n".join(nodules) + "\n\n")
    return root


def make_montgomery(parent: Path) -> Path:
    root = parent / "MontgomerySet"
    for number, stem in enumerate(("MCUCXR_0001_0", "MCUCXR_0002_0", "MCUCXR_0104_1")):
        save(root / "CXR_png" / f"{stem}.png", texture(number, 40, 48))
        for name, columns in (("leftMask", slice(24, 48)), ("rightMask", slice(0, 12))):
            mask = np.zeros((40, 48), bool)
            mask[:20, columns] = True
            save(root / "ManualMask" / name / f"{stem}.png", mask)
    (root / "CXR_png" / "Thumbs.db").write_bytes(b"")
    return parent


KERMANY_FILES = (
    "train/NORMAL/IM-0115-0001.jpeg",
    "train/NORMAL/NORMAL2-IM-0115-0001.jpeg",
    "train/NORMAL/IM-0119-0001-0002.jpeg",
    "train/PNEUMONIA/person1_bacteria_1.jpeg",
    "train/PNEUMONIA/person1_bacteria_2.jpeg",
    "train/PNEUMONIA/person1_virus_6.jpeg",
    "train/PNEUMONIA/BACTERIA-1008087-0001.jpeg",
    "val/NORMAL/NORMAL2-IM-1427-0001.jpeg",
    "val/PNEUMONIA/person1946_bacteria_4874.jpeg",
    "test/NORMAL/IM-0001-0001.jpeg",
    "test/PNEUMONIA/person1_virus_6.jpeg",
)


def make_kermany(parent: Path, files: Sequence[str] = KERMANY_FILES) -> Path:
    for number, name in enumerate(files):
        save(parent / "chest_xray" / name, texture(number, 24, 32))
    (parent / "chest_xray" / "train" / "NORMAL" / ".DS_Store").write_bytes(b"")
    return parent


CUB_IMAGES = (
    ("019.Gray_Catbird", "Gray_Catbird_0001_1.jpg", 1),
    ("019.Gray_Catbird", "Gray_Catbird_0002_2.jpg", 0),
    ("020.Yellow_breasted_Chat", "Yellow_Breasted_Chat_0001_3.jpg", 1),
    ("099.Ovenbird", "Ovenbird_0001_4.jpg", 0),
)


def make_cub(parent: Path, beside: bool = True, images: Sequence[tuple[str, str, int]] = CUB_IMAGES) -> Path:
    """CUB-200-2011 with all names of CUB5 among its classes; the segmentations are unpacked beside or into it."""
    root = parent / "CUB_200_2011"
    species = ["019.Gray_Catbird", "020.Yellow_breasted_Chat", "099.Ovenbird", "108.White_necked_Raven"]
    species += ["171.Myrtle_Warbler", "178.Swainson_Warbler"]
    tables: dict[str, list[str]] = {name: [] for name in ("images", "image_class_labels", "train_test_split", "boxes")}
    for number, (name, file, train) in enumerate(images, start=1):
        save(root / "images" / name / file, texture(number, 40, 60, 3))
        agree = np.zeros((40, 60), np.uint8)
        agree[:20, :30], agree[:20, 30:], agree[20:, :30] = 153, 102, 255
        where = (parent if beside else root) / "segmentations" / name
        save(where / Path(file).with_suffix(".png").name, agree)
        tables["images"].append(f"{number} {name}/{file}")
        tables["image_class_labels"].append(f"{number} {species.index(name) + 1}")
        tables["train_test_split"].append(f"{number} {train}")
        tables["boxes"].append(f"{number} 15.0 10.0 30.0 20.0")
    tables["classes"] = [f"{number} {name}" for number, name in enumerate(species, start=1)]
    tables["bounding_boxes"] = tables.pop("boxes")
    for name, lines in tables.items():
        (root / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return parent


def make_flowers(root: Path, labels: Sequence[int] = (1, 1, 2, 102)) -> Path:
    (root / "jpg").mkdir(parents=True)
    (root / "segmim").mkdir()
    for number in range(1, len(labels) + 1):
        pixels = np.random.default_rng(number).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "jpg" / f"image_{number:05d}.jpg")
        flower = np.zeros((48, 64, 3), np.uint8)
        flower[:] = (0, 0, 254)
        flower[16:32, 16:48] = (230, 40, 60)
        Image.fromarray(flower).save(root / "segmim" / f"segmim_{number:05d}.jpg", quality=90)
    scipy.io.savemat(root / "imagelabels.mat", {"labels": np.array([labels], np.uint8)})
    parts = {"trnid": [[4]], "valid": [[2]], "tstid": [[1, 3]]}
    scipy.io.savemat(root / "setid.mat", {name: np.array(rows, np.uint16) for name, rows in parts.items()})
    return root


PETS = (("Abyssinian_100", 1), ("Abyssinian_101", 1), ("american_bulldog_1", 2), ("american_bulldog_2", 2))
PET_HEAD = """<annotation><filename>{name}.jpg</filename><size><width>60</width><height>40</height></size>
<object><name>cat</name><bndbox><xmin>16</xmin><ymin>11</ymin><xmax>30</xmax><ymax>20</ymax></bndbox></object>
</annotation>"""


def make_pets(root: Path) -> Path:
    header = "#Image CLASS-ID SPECIES BREED ID\n#ID: 1:37 Class ids"
    lines = [f"{name} {1 + species} {species} 1" for name, species in PETS]
    annotations = root / "annotations"
    for number, (name, _) in enumerate(PETS):
        save(root / "images" / f"{name}.jpg", texture(number, 40, 60, 3))
        trimap = np.full((40, 60), 2, np.uint8)
        trimap[10:30, 10:50] = 3
        trimap[15:25, 20:40] = 1
        save(annotations / "trimaps" / f"{name}.png", trimap)
    (annotations / "xmls").mkdir()
    (annotations / "xmls" / "Abyssinian_100.xml").write_text(PET_HEAD.format(name="Abyssinian_100"))
    (annotations / "list.txt").write_text("\n".join([header, *lines]) + "\n")
    (annotations / "trainval.txt").write_text("\n".join(lines[::2]) + "\n")
    (annotations / "test.txt").write_text("\n".join(lines[1::2]) + "\n")
    return root
