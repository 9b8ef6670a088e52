"""Collections decoded once and opened memory-mapped, by any number of processes."""

from __future__ import annotations

import errno
import hashlib
import json
import shlex
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from raysearch._caches import cache_root as default_root
from raysearch._text import counted
from raysearch.data._build import Contents, Progress, write_contents
from raysearch.data._collection import Collection, View
from raysearch.data._glance import Looks
from raysearch.data._joined import join
from raysearch.data._manifest import FileManifest, Manifest, MaskFiles
from raysearch.data._npy import read_npy
from raysearch.data._spec import REGIONS, AnySpec, DataSpec, JoinedSpec, parse_data
from raysearch.data._twins import Twins
from raysearch.data.kinds import get_kind
from raysearch.errors import DataError, StorageError

_VERSION = 4
"""Raised whenever decoding or the layout of a cache folder changes."""


class UnusableDataError(DataError):
    """A data folder has problems: the message tells the first few.

    Attributes:
        contents: all of it, as far as it could be read; None if only tables and names were looked at.
    """

    def __init__(self, spec: DataSpec, problems: Sequence[str], contents: Contents | None = None) -> None:
        first = "; ".join(problems[:3]) + ("; ..." if len(problems) > 3 else "")
        count = counted(len(problems), "problem")
        super().__init__(f"data {spec}: {count}: {first}; run `raysearch data check {shlex.quote(str(spec))}` for all")
        self.contents = contents


def open_collection(
    spec: AnySpec, view: View, cache_root: Path | str | None = None, progress: Progress | None = None
) -> Collection:
    """The images that a spec asks for, decoded now or at an earlier call.

    The cache is keyed by kind, options, view, the code's version and the content (tables by their bytes, images and
    masks by name, size and time, and what was made of them), and lies under `cache_root`, or RAYSEARCH_CACHE, or
    ``~/.cache/raysearch``. Several processes may call at once: one decodes, the others wait for it. Of several sources
    each has a cache of its own; those that give regions are opened in the multi view, in which an image may have any
    number of classes.

    Args:
        progress: called with (images decoded, images in all) while decoding.

    Raises:
        DataError: the folder or its tables are not as the kind expects, or the cache folder cannot be written.
        UnusableDataError: images, masks, boxes or rows are wrong; see `raysearch.data.check` for all of them.
        StorageError: the disk is full or went away, or a cached collection is damaged.
    """
    if isinstance(spec, JoinedSpec):
        views: dict[str, View] = {name: "multi" if name == REGIONS else view for name in spec.names}
        parts = {name: open_collection(part, views[name], cache_root, progress) for name, part in spec.sources}
        return join(spec, parts, view)
    kind = get_kind(spec.kind)
    manifest = kind.read(spec, view) if kind.needs_path else None
    if isinstance(manifest, FileManifest) and manifest.problems:
        raise UnusableDataError(spec, manifest.problems)
    root = Path(cache_root).expanduser().absolute() if cache_root else default_root()
    folder = root / f"{spec.kind}-{_key(spec, view, manifest)}"
    if not folder.is_dir():
        with _cache_errors(root):
            root.mkdir(parents=True, exist_ok=True)
            with FileLock(root / f"{folder.name}.lock"):
                if not folder.is_dir():
                    _build(spec, view, manifest or kind.read(spec, view), folder, progress)
    return replace(load_collection(folder), source=str(spec))


def reopen_collection(text: str, view: View, fingerprint: str) -> Collection:
    """What `open_collection` gave when `fingerprint` was noted: its rows mean the same images.

    Args:
        text: canonical spelling of the source.

    Raises:
        DataError: it has changed; or as `open_collection`.
        StorageError: as `open_collection`.
    """
    collection = open_collection(parse_data(text), view)
    if collection.fingerprint != fingerprint:
        raise DataError(
            f"{text} has changed since the study was made (fingerprint {collection.fingerprint[:12]}, expected"
            f" {fingerprint[:12]}): restore the data, or tune again"
        )
    return collection


def load_collection(folder: Path | str) -> Collection:
    """Opens what `open_collection` left in ``Collection.folder``, without decoding.

    Raises:
        DataError: no such folder, or one of another version.
        StorageError: damaged.
    """
    folder = Path(folder)
    meta = _read_meta(folder)
    contents = load_contents(folder)
    return Collection(
        source=meta["source"],
        view=meta["view"],
        classes=contents.classes,
        image_ids=contents.ids,
        patients=contents.patients,
        images=read_npy(folder / "images.npy", mapped=True),
        labels=contents.labels,
        truth=contents.truth,
        mask_row=contents.mask_row,
        masks=read_npy(folder / "masks.npy", mapped=True),
        official=contents.official,
        fingerprint=contents.fingerprint,
        folder=str(folder),
        areas=contents.areas,
        boxes=contents.boxes,
        box_mask=contents.box_mask,
        notes=contents.notes,
        twins=contents.twins,
    )


def load_contents(folder: Path) -> Contents:
    """Everything but the pixels of a cached collection; raises as `load_collection` does."""
    meta = _read_meta(folder)
    return Contents(
        classes=tuple(meta["classes"]),
        ids=tuple(read_npy(folder / "ids.npy").tolist()),
        shares=meta["shares"],
        sizes=Counter(meta["sizes"]),
        notes=tuple(meta["notes"]),
        fingerprint=meta["fingerprint"],
        patients=read_npy(folder / "patients.npy"),
        official=read_npy(folder / "official.npy"),
        labels=read_npy(folder / "labels.npy"),
        truth=read_npy(folder / "truth.npy"),
        mask_row=read_npy(folder / "mask_row.npy"),
        areas=read_npy(folder / "areas.npy") if meta["padded"] else None,
        boxes=read_npy(folder / "boxes.npy"),
        box_mask=read_npy(folder / "box_mask.npy"),
        looks=Looks(read_npy(folder / "values.npy"), meta["pixels"], meta["framed"]),
        twins=Twins(named=read_npy(folder / "named.npy"), picture=read_npy(folder / "picture.npy")),
    )


def _read_meta(folder: Path) -> dict[str, Any]:
    try:
        meta = json.loads((folder / "meta.json").read_text("utf-8"))
    except FileNotFoundError:
        raise DataError(f"{folder} holds no cached collection; open it again from its source") from None
    except (OSError, ValueError) as error:
        raise StorageError(f"cached data {folder} is damaged ({error}); delete the folder and run again") from None
    if meta["version"] != _VERSION:
        raise DataError(f"{folder} was cached by another version of raysearch; open it again from its source")
    return dict(meta)


def _build(spec: DataSpec, view: View, manifest: Manifest, folder: Path, progress: Progress | None) -> None:
    building = folder.with_name(f".{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)  # what a killed process left; the lock says that none is at work
    building.mkdir()
    try:
        contents = write_contents(manifest, spec.size, spec.fit, building, progress, spec.bits)
        if contents.problems:
            raise UnusableDataError(spec, contents.problems, contents)
        assert contents.twins is not None  # there are no problems
        arrays = {
            "ids": np.array(contents.ids),
            "patients": contents.patients,
            "official": contents.official,
            "labels": contents.labels,
            "truth": contents.truth,
            "mask_row": contents.mask_row,
            "boxes": contents.boxes,
            "box_mask": contents.box_mask,
            "values": contents.looks.values,
            "named": contents.twins.named,
            "picture": contents.twins.picture,
        }
        if contents.areas is not None:
            arrays["areas"] = contents.areas
        for name, array in arrays.items():
            np.save(building / f"{name}.npy", array, allow_pickle=False)
        meta = {
            "version": _VERSION,
            "source": str(spec),
            "view": view,
            "classes": contents.classes,
            "fingerprint": contents.fingerprint,
            "padded": contents.areas is not None,
            "sizes": contents.sizes,
            "shares": contents.shares,
            "pixels": contents.looks.pixels,
            "framed": contents.looks.framed,
            "notes": contents.notes,
        }
        (building / "meta.json").write_text(json.dumps(meta), "utf-8")
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _key(spec: DataSpec, view: View, manifest: Manifest | None) -> str:
    digest = hashlib.sha256(json.dumps([_VERSION, spec.kind, get_kind(spec.kind).version, spec.options, view]).encode())
    if isinstance(manifest, FileManifest):
        for table in manifest.tables:
            digest.update(f"{table.name}\n".encode() + table.read_bytes())
        for path in _files(manifest):
            digest.update(f"{path.relative_to(manifest.root)}\0{_state(path)}\n".encode())
        # what was told by files that are not read, such as the masks of another task that published parts are known by
        names = [manifest.ids, manifest.notes, manifest.patients.tolist(), manifest.official.tolist()]
        digest.update(json.dumps(names).encode())
        digest.update(manifest.labels.tobytes() + manifest.truth.tobytes())
    return digest.hexdigest()[:20]


def _state(path: Path) -> str:
    """Size and time of a file; empty for one that cannot be found, such as a link to nowhere: its reader says so."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_size}\0{status.st_mtime_ns}"


def _files(manifest: FileManifest) -> Iterator[Path]:
    yield from manifest.paths
    for regions in manifest.regions.values():
        for region in regions.values():
            if isinstance(region, MaskFiles):
                yield from region.paths


@contextmanager
def _cache_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                f"cache {root}: {reason}; free some space, ask for a smaller size=, or set RAYSEARCH_CACHE"
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise DataError(
                f"cache folder {root} cannot be written ({reason}); set RAYSEARCH_CACHE to one that can"
            ) from None
        raise StorageError(
            f"cache {root}: {reason}; check the disk, or set RAYSEARCH_CACHE to a folder elsewhere"
        ) from None
