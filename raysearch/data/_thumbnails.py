"""Small pictures by which copies are found: one radiograph under two names, at another size or saved again.

A thumbnail is taken as a spectrum (cosine transform) without its lowest frequencies, and with more weight on high ones:
how bright an image is, and where its dark and light halves lie, is alike in all radiographs of a chest. Copies are
those whose spectra correlate and whose gray levels are the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

SIDE = 32
"""Of a thumbnail: a KiB an image."""

ALIKE = 0.97
"""Least correlation of copies. Measured at 64 pixels, the hardest: the radiographs that the COVID-19 collection has
twice reach 0.998; all of its 353 images, saved again as JPEG of quality 20 or at a quarter of the size, 0.978 with
themselves; no two others of them 0.87, one patient's on two days among them, and no two of 8,000 phantoms 0.95."""

LEVELS = 6.0
"""Most that copies differ by, root of the mean square in gray levels: those of `ALIKE` differ by 0.4, saved again by at
most 4.4. Another brightness or contrast is another picture: plain shapes, such as people make to try things, are alike
in all else."""

_LOWEST = 3
"""Frequencies u + v below this are left out. Others are weighed by the root of u + v."""

_INDEX = 8
"""Side of the low corner of the spectrum that is looked at first. It is part of an orthonormal transform: what is
further apart in it than copies are is further apart in all of it, so that no pair is missed."""

_FLAT = 1.0
"""Least spread, in gray levels, of what is left of a thumbnail: less is hardly more than its own rounding, and blank
images say nothing of who was imaged."""

_BLOCK = 512


def thumbnail(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(SIDE, SIDE) uint8 of a picture (C, h, w) uint8 without its padding: the mean of the channels, averaged over
    areas, stretched to a square."""
    gray = picture[0] if len(picture) == 1 else picture.mean(axis=0).round().astype(np.uint8)
    return np.asarray(Image.fromarray(gray).resize((SIDE, SIDE), Image.Resampling.BOX))


def same_pictures(thumbnails: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Which images show one picture: (N,) the number of the group of each, from 0 in the order of their first images;
    -1 of an image without a copy. A copy of a copy is a copy.

    All pairs are compared: sorted by one coefficient of the spectrum, each with those that are near enough in it, by
    products of matrices of 64 columns; what is left by the whole spectrum. 112,120 images take half a minute of one
    core.

    Args:
        thumbnails: (N, SIDE, SIDE) uint8, of `thumbnail`.
    """
    count = len(thumbnails)
    if count == 0:
        return np.empty(0, np.int32)
    first = _first_equal(thumbnails)
    rows = np.flatnonzero(first == np.arange(count))
    index, spread = _index(thumbnails[rows])
    shown = spread >= _FLAT
    first = np.where(np.isin(first, rows[shown]), first, np.arange(count))
    rows, index = rows[shown], index[shown]
    pairs = np.concatenate([np.stack([np.arange(count), first], axis=1), rows[_near(index, thumbnails[rows])]])
    return _numbered(components(count, pairs))


def components(count: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """(count,) label of the connected component of each node of a graph with the edges `pairs` (P, 2)."""
    ones = np.ones(len(pairs), np.int8)
    _, labels = connected_components(coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(count, count)), False)
    return np.asarray(labels, np.int64)


def _first_equal(thumbnails: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(N,) the first row with the very same thumbnail."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(shot.tobytes(), row) for row, shot in enumerate(thumbnails)], np.int64)


def _spectra(thumbnails: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(n, SIDE, SIDE) weighed spectra of length 1 without their lowest frequencies (0 where nothing is left), and (n,)
    the spread in gray levels of the thumbnails without them."""
    frequency = np.add.outer(np.arange(SIDE), np.arange(SIDE))
    spectra = dctn(thumbnails.astype(np.float32), axes=(1, 2), norm="ortho")
    spectra[:, frequency < _LOWEST] = 0
    spread = np.sqrt((spectra**2).mean(axis=(1, 2)))
    spectra *= np.sqrt(frequency).astype(np.float32)
    spectra /= np.maximum(np.sqrt((spectra**2).sum(axis=(1, 2), keepdims=True)), 1e-6)
    return spectra, spread


def _index(thumbnails: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(n, _INDEX ** 2) low corner of the spectra, and their spread (n,)."""
    corners, spreads = [np.empty((0, _INDEX**2), np.float32)], [np.empty(0, np.float32)]
    for start in range(0, len(thumbnails), _BLOCK):
        spectra, spread = _spectra(thumbnails[start : start + _BLOCK])
        corners.append(spectra[:, :_INDEX, :_INDEX].reshape(len(spectra), -1))
        spreads.append(spread)
    return np.concatenate(corners), np.concatenate(spreads)


def _near(index: NDArray[np.float32], thumbnails: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(P, 2) pairs of rows that are copies: enough of them to connect all that are."""
    reach = np.sqrt(2 - 2 * ALIKE) + 1e-5
    column = int(np.argmax(index.var(axis=0))) if len(index) else 0
    order = np.argsort(index[:, column], kind="stable")
    index = index[order]
    key = index[:, column]
    half = (index**2).sum(axis=1) / 2
    found = [np.empty((0, 2), np.int64)]
    for start in range(0, len(index), _BLOCK):
        stop = min(start + _BLOCK, len(index))
        end = int(np.searchsorted(key, key[stop - 1] + reach, side="right"))
        gap = half[start:stop, None] + half[start:end] - index[start:stop] @ index[start:end].T
        one, other = np.nonzero(gap <= reach**2 / 2)
        later = other > one
        found.append(_confirmed(order[start + one[later]], order[start + other[later]], thumbnails))
    return np.concatenate(found)


def _confirmed(ones: NDArray[np.int64], others: NDArray[np.int64], thumbnails: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Those of the pairs whose whole spectra correlate as copies do; but for pairs of what is connected already."""
    kept = [np.empty((0, 2), np.int64)]
    pairs = np.stack([ones, others], axis=1)
    while len(pairs):
        now, pairs = pairs[:_BLOCK], pairs[_BLOCK:]
        same = _are_copies(thumbnails[now[:, 0]], thumbnails[now[:, 1]])
        kept.append(now[same])
        if same.any() and len(pairs):
            group = components(len(thumbnails), np.concatenate(kept))
            pairs = pairs[group[pairs[:, 0]] != group[pairs[:, 1]]]
    return np.concatenate(kept)


def _are_copies(ones: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(n,) whether the thumbnails (n, SIDE, SIDE) show the same picture, pair by pair."""
    off = np.sqrt(((ones.astype(np.float32) - others) ** 2).mean(axis=(1, 2)))
    alike = (_spectra(ones)[0] * _spectra(others)[0]).sum(axis=(1, 2))
    return np.asarray((off <= LEVELS) & (alike >= ALIKE))


def _numbered(labels: NDArray[np.int64]) -> NDArray[np.int32]:
    """Labels of components as numbers of groups, -1 for those of one node."""
    _, first, group, size = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    several = np.flatnonzero(size > 1)
    number = np.full(len(size), -1, np.int32)
    number[several[np.argsort(first[several])]] = np.arange(len(several))
    return number[group]
