"""split.csv: written by a study, read as another one's --split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from data.data_layouts import NIH_ROWS, make_nih

from raysearch.data import make_split
from raysearch.study import Cluster, Request, prepare, save_study


def test_a_study_s_split_divides_another_one_alike(tmp_path: Path) -> None:
    """Also where labelled images are in no published part."""
    rows = [(f"{row:08d}_000.png", NIH_ROWS[2 + row % 2][1], row) for row in range(20)]
    boxes = [(rows[row][0], "Pneumonia", (0.0, 0.0, 512.0, 512.0)) for row in (1, 3, 5)]
    root = make_nih(tmp_path / "nih", rows=rows, boxes=boxes)
    (root / "train_val_list.txt").write_text("\n".join(name for name, _, _ in rows[8:16]))
    (root / "test_list.txt").write_text("\n".join(name for name, _, _ in rows[:8]))
    request = Request(
        method="cam_avg", data=f"chestxray14:{root},task=normal-vs-pneumonia,size=32", split="official", preset="small",
        fixes=("batch=2",),
    )  # fmt: skip
    first = prepare(request, Cluster())
    assert "4 labelled images are in no published part and left out" in first.warnings
    again = make_split(first.collection, str(save_study(first).split_file))
    for part in ("train", "tuning", "test"):
        np.testing.assert_array_equal(getattr(again, part), getattr(first.split, part))
