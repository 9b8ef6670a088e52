"""Mask files: what of one is the region."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raysearch.data._depth import DEPTHS, depth_of, to_eight
from raysearch.data._image_file import ImageFile, UnreadableError, guarded, load
from raysearch.data._manifest import Brighter, Foreground, OtherColour, Values
from raysearch.data._mask_levels import region_of

_LOSSY = ("JPEG", "MPO")
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "F")
"""In which more is brighter, or is an index; gray of more than 8 bits has other ones."""
_WITH_ALPHA = ("RGBA", "LA", "PA")
_COLOURED = 32
"""Channels that differ by more than this are of a colour: lossy compression moves those of grays apart by less."""
_MOST_COLOURS = 256
"""More of them are those of soft edges."""
_LOW = 16
"""Values up to this are numbers or votes, not black and white."""


def read_foreground(path: Path, foreground: Foreground | None) -> NDArray[np.bool_]:
    """Where the region of a mask file is, (H, W), upright; see `MaskFiles.foreground`.

    A mask may be drawn into the alpha channel: if its colours are one, opaque is the region.

    Raises:
        UnreadableError: as for images, and a file of which nothing tells what the region is.
    """
    file = load(path)
    with guarded():
        if isinstance(foreground, OtherColour):
            return _other_colour(file, foreground)
        if file.format in _LOSSY:
            raise UnreadableError("a mask as JPEG data, whose values are not exact; expected PNG or BMP data")
        if isinstance(foreground, Values):
            return _known(file, foreground)
        if isinstance(foreground, Brighter):
            return _brighter(_gray(file), foreground)
        return region_of(_values(file))


def _other_colour(file: ImageFile, background: OtherColour) -> NDArray[np.bool_]:
    if (alpha := _alpha(file)) is not None and np.ptp(alpha):
        raise UnreadableError("an alpha channel that varies, expected a background of one colour; save it without")
    colours = np.asarray(file.converted("RGB")).astype(np.int16)
    if not np.ptp(colours, axis=2).any():
        raise UnreadableError(f"gray alone, expected the background in the colour {background.colour}")
    return np.asarray(np.abs(colours - background.colour).max(axis=2) > background.tolerance)


def _known(file: ImageFile, foreground: Values) -> NDArray[np.bool_]:
    if (alpha := _alpha(file)) is not None and np.ptp(alpha):
        raise UnreadableError("an alpha channel that varies, expected labels; save it without transparency")
    values = _stored(file)
    if not (known := np.isin(values, foreground.known)).all():
        expected = ", ".join(map(str, foreground.known))
        raise UnreadableError(f"a value of {values[~known].flat[0]}; expected only {expected}")
    inside = np.isin(values, foreground.values)
    return np.asarray(inside if inside.ndim == 2 else inside.any(axis=2))


def _brighter(gray: NDArray[np.int64], foreground: Brighter) -> NDArray[np.bool_]:
    levels = np.unique(gray)
    if 1 in levels and set(levels.tolist()) <= {0, 1, 255}:
        void = " beside 255, white or void" if 255 in levels else ""
        raise UnreadableError(f"values of 0 and 1 only{void}; expected black and white, 0 to 255")
    if 0 < levels[-1] <= _LOW:
        raise UnreadableError(f"no value above {levels[-1]}; expected black and white, 0 to 255")
    return np.asarray(gray > foreground.level)


def _gray(file: ImageFile) -> NDArray[np.int64]:
    """(H, W) from 0 to 255, or the alpha channel if the mask is drawn there; palettes are looked up."""
    if file.wide or file.image.mode == "F":
        return _of_depth(_stored(file))
    if not file.image.has_transparency_data and _is_coloured(np.asarray(file.converted("RGB"))):
        raise UnreadableError("colours; expected black and white")
    colours = np.asarray(file.converted("RGBA"))[..., :-1] if file.image.has_transparency_data else None
    gray = np.asarray(file.converted("L")).astype(np.int64)
    return gray if colours is None else _drawn(file, gray, colours)


def _of_depth(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Values of the lowest depth that holds them, at least 8 bits, as those of 8."""
    top = int(values.max())
    bits = depth_of(top)
    if bits > DEPTHS[0] and top < (1 << bits) - (1 << (bits - 4)):
        raise UnreadableError(f"no value above {top:,}, which is white in no depth; expected black and white, 0 to 255")
    return to_eight(values, bits).astype(np.int64)


def _values(file: ImageFile) -> NDArray[np.int64]:
    """(H, W), of colours the largest channel or numbers, or the alpha channel if the mask is drawn there."""
    stored = _stored(file)
    if stored.ndim == 2 or stored.shape[2] == 1:
        values = stored.reshape(stored.shape[:2])
    else:
        numbers = _is_coloured(stored) and not file.image.has_transparency_data
        values = _numbered(stored) if numbers else stored.max(axis=2)
    if file.image.mode in ("P", "PA"):
        _check_palette(file, values)
    return _drawn(file, values, stored)


def _stored(file: ImageFile) -> NDArray[np.int64]:
    """(H, W) or (H, W, C) without alpha: of palettes the indices, which is what masks mean."""
    if not (file.wide or file.image.mode in _MODES):
        raise UnreadableError(f"{file.image.mode} pixels; expected gray, a palette or RGB")
    found = file.values() if file.wide else np.asarray(file.image)
    whole = (found == np.round(found)) & (found >= 0) & (found <= 65535)
    if not whole.all():
        raise UnreadableError("floating-point values that are not whole numbers; expected 0 and 255 alone")
    values = (found[..., :-1] if file.image.mode in _WITH_ALPHA else found).astype(np.int64)
    return _white_is_zero(file, values) if file.white_is_zero else values


def _white_is_zero(file: ImageFile, values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of black and white alone what is shown is what is meant: of numbers, nothing tells."""
    top = 1 if file.image.mode == "1" else 65535 if file.wide else 255
    if not np.isin(values, (0, top)).all():
        raise UnreadableError("a TIFF in which 0 is white, with other values than black and white; save it as PNG")
    return top - values if file.wide else values


def _is_coloured(colours: NDArray[np.integer]) -> bool:
    return bool(np.ptp(colours.astype(np.int64), axis=2).max() > _COLOURED)


def _numbered(colours: NDArray[np.int64]) -> NDArray[np.int64]:
    """(H, W) of colours (H, W, 3) that number regions on black: 1 in these. Where they blend into black they are one
    region with soft edges, and the largest channel comes back.

    Raises:
        UnreadableError: no black, or white too: nothing tells what is no region.
    """
    brightest = colours.max(axis=2)
    if (brightest > 0).all():
        raise UnreadableError("colours and no black: which of them is no region, nothing tells; save it in gray")
    if (colours.min(axis=2) == 255).any():
        raise UnreadableError("colours beside black and white: is white a region or void? Save it in gray")
    packed = (colours << np.array([16, 8, 0])).sum(axis=2)
    return np.asarray(brightest if len(np.unique(packed)) > _MOST_COLOURS else brightest > 0, np.int64)


def _check_palette(file: ImageFile, indices: NDArray[np.int64]) -> None:
    """Refuses a palette of grays in which index 0, no region, is lighter than an index that is one, and one of colours
    in which 0 is a colour and another index black or white, as the background is."""
    palette = np.array(file.image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
    used = np.unique(indices)
    others = used[(used > 0) & (used < len(palette))]
    if (palette != palette[:, :1]).any():
        plain = others[(palette[others] == palette[others, :1]).all(axis=1) & np.isin(palette[others, 0], (0, 255))]
        if len(plain) and np.ptp(palette[0]):
            raise UnreadableError(
                f"a palette in which {plain[0]} is {'black' if not palette[plain[0], 0] else 'white'} and 0 a"
                " colour: by their numbers or by their colours, nothing tells; save it in gray, the region white"
            )
        return
    if not len(others):
        others = np.arange(1, len(palette))
    darker = others[palette[others, 0] < palette[0, 0]]
    if len(darker):
        raise UnreadableError(
            f"a palette in which 0 is lighter than {darker[0]}: by their numbers or by their colours, nothing tells;"
            " save it in gray, the region white"
        )


def _alpha(file: ImageFile) -> NDArray[np.uint8] | None:
    """(H, W), 0 is transparent; None for a file without transparency."""
    if not file.image.has_transparency_data:
        return None
    if file.wide:
        raise UnreadableError("transparency beside 16-bit values; save it without")
    return np.asarray(file.converted("RGBA").getchannel("A"))


def _drawn(file: ImageFile, values: NDArray[np.int64], colours: NDArray[np.integer]) -> NDArray[np.int64]:
    """The values (H, W), or the alpha channel if the mask is drawn there.

    Args:
        colours: (H, W) or (H, W, C), what the values were made of.

    Raises:
        UnreadableError: both vary, and it is not that all transparent pixels are 0 and all others opaque.
    """
    alpha = _alpha(file)
    if alpha is None or alpha.min() == alpha.max() > 0:
        return values
    flat, seen = colours.reshape(values.size, -1), alpha.ravel() > 0
    drawn, hidden = flat[seen], flat[~seen]
    colour = (drawn if len(drawn) else hidden)[0]
    if (drawn == colour).all() and (not hidden.any() or (hidden == colour).all()):
        return alpha.astype(np.int64)
    if not hidden.any() and np.isin(alpha, (0, 255)).all():
        return values
    raise UnreadableError(
        "an alpha channel and colours that both vary: which of them is the region, nothing tells; save it in black and"
        " white, without transparency"
    )
