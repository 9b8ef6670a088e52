from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.kind_layouts import slow_encode
from raysearch.data._rle import fill_runs, run_lengths


@given(
    seed=st.integers(0, 1000),
    height=st.integers(1, 70),
    width=st.integers(1, 90),
    share=st.sampled_from([0.0, 0.001, 0.02, 0.5, 0.99, 1.0]),
)
def test_what_a_slow_encoder_wrote_is_read_back(seed: int, height: int, width: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < share
    np.testing.assert_array_equal(fill_runs(slow_encode(mask), height, width), mask)


def test_published_texts() -> None:
    assert run_lengths("PVWX6", 2320 * 2828).tolist() == [2320 * 2828]  # CheXlocalize, a pathology without a region
    assert run_lengths("nefl3", 2022 * 2021).tolist() == [2022 * 2021]
    np.testing.assert_array_equal(fill_runs("13", 2, 2), [[0, 1], [1, 1]])  # maskApi counts columns first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no run lengths"),
        ("4\n0", "no run lengths"),
        ("4é0", "no run lengths"),
        ("P", "no run lengths"),  # a group that says another one follows
        ("P" * 9 + "4", "a run length that no picture has"),
        ("5", "do not add up to the 4 pixels"),
        ("O5", "do not add up to the 4 pixels"),  # -1 + 5 are 4, but no run is negative
        ("ooooooO", "do not add up to the 4 pixels"),
        ("PPPPPPO4", "do not add up to the 4 pixels"),
    ],
)
def test_texts_that_are_none_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run_lengths(text, 4)


@given(text=st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=60))
def test_any_text_is_a_mask_of_its_frame_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert fill_runs(text, 5, 7).shape == (5, 7)
