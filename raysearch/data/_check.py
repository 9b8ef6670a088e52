"""What ``raysearch data check`` tells of a data folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from raysearch._text import counted
from raysearch.data._build import Contents, Progress, read_contents
from raysearch.data._cache import UnusableDataError, load_contents, open_collection
from raysearch.data._collection import ABSENT, PRESENT, UNKNOWN, View
from raysearch.data._contrary import contrary_notes
from raysearch.data._glance import ClassLooks, glance, glance_notes
from raysearch.data._manifest import FileManifest, Manifest
from raysearch.data._spec import AnySpec, DataSpec
from raysearch.data._twins import across_notes, within_notes
from raysearch.data.kinds import get_kind
from raysearch.errors import DataError


@dataclass(frozen=True, kw_only=True)
class ClassCount:
    """One class: of its image labels and of its region truth.

    Attributes:
        images: labelled with it.
        patients: of these images.
        unlabelled: images of which it is not known whether they have it.
        present, absent, unknown: pairs (image, this class) by region truth.
        present_patients: of the present pairs.
        foreground_share: mean share of the picture that the region covers, of the present pairs; None without.
    """

    name: str
    images: int
    patients: int
    unlabelled: int
    present: int
    absent: int
    unknown: int
    present_patients: int
    foreground_share: float | None


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """Counts, sizes (``WxH`` of the files -> how many), every problem and every note of a source in one view.

    Attributes:
        patients: those who share a picture are one.
        glance: lines on the values of the images and the sizes of the regions.
        other_view: one line on what the other view holds; empty where it holds the same, or where it was not looked at.
    """

    source: str
    view: View
    images: int
    patients: int
    classes: tuple[ClassCount, ...]
    official: dict[str, int]
    sizes: dict[str, int]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    glance: tuple[str, ...] = ()
    other_view: str = ""

    @property
    def ok(self) -> bool:
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"ok": self.ok}

    def lines(self) -> list[str]:
        """For people: a table of the classes, what is seen at a glance, then notes and problems."""
        width = max(len("class"), *(len(count.name) for count in self.classes))
        sizes = sorted(self.sizes.items(), key=lambda item: (-item[1], item[0]))
        most = ", ".join(f"{size} ({count})" for size, count in sizes[:5])
        lines = [
            f"{self.source}{f' ({self.view} view)' if self.other_view else ''}: {counted(self.images, 'image')},"
            f" {counted(self.patients, 'patient')}",
            f"sizes: {most or 'none'}" + (f" and {len(sizes) - 5} more" if len(sizes) > 5 else ""),
        ]
        if self.other_view:
            lines.insert(1, self.other_view)
        if self.official:
            lines.append("published: " + ", ".join(f"{part} {count}" for part, count in self.official.items()))
        lines.append(
            f"{'class':{width}}  {'images':>7}  {'patients':>8}  {'unlabelled':>10}"
            f"  {'present':>7}  {'absent':>7}  {'unknown':>7}  {'foreground':>10}"
        )
        for count in self.classes:
            share = "-" if count.foreground_share is None else f"{count.foreground_share:.1%}"
            lines.append(
                f"{count.name:{width}}  {count.images:>7}  {count.patients:>8}  {count.unlabelled:>10}"
                f"  {count.present:>7}  {count.absent:>7}  {count.unknown:>7}  {share:>10}"
            )
        lines += [f"at a glance: {line}" for line in self.glance]
        lines += [f"note: {note}" for note in self.notes]
        lines += [f"problem: {problem}" for problem in self.problems]
        lines.append(counted(len(self.problems), "problem") if self.problems else "no problems")
        return lines


def check(
    spec: DataSpec, view: View = "multi", cache_root: Path | str | None = None, progress: Progress | None = None
) -> CheckReport:
    """Reads all of a source in one view and reports on it, and of the other view what its tables tell; a source without
    problems is left in the cache.

    Raises:
        DataError, StorageError: as `open_collection`, but for problems of single rows and files, which are reported.
    """
    kind = get_kind(spec.kind)
    manifest = kind.read(spec, view) if kind.needs_path else None
    return replace(_report(spec, view, manifest, cache_root, progress), other_view=_other_view(spec, view, manifest))


def _report(
    spec: DataSpec, view: View, manifest: Manifest | None, cache_root: Path | str | None, progress: Progress | None
) -> CheckReport:
    if isinstance(manifest, FileManifest) and manifest.problems:
        return report_on(spec, view, read_contents(manifest, spec.size, spec.fit, progress=progress, bits=spec.bits))
    try:
        return report_on(spec, view, load_contents(Path(open_collection(spec, view, cache_root, progress).folder)))
    except UnusableDataError as error:
        if error.contents is None:
            raise
        return report_on(spec, view, error.contents)


def _other_view(spec: DataSpec, view: View, manifest: Manifest | None) -> str:
    """`CheckReport.other_view`.

    Args:
        manifest: of `view`; None of a kind that computes its images.
    """
    other: View = "single" if view == "multi" else "multi"
    if manifest is None:
        return f"{other} view: other images, which are computed for it"
    try:
        found = get_kind(spec.kind).read(spec, other)
    except DataError as error:
        return f"{other} view: nothing can be used ({error})"
    if (found.classes, found.ids) == (manifest.classes, manifest.ids) and np.array_equal(found.labels, manifest.labels):
        return ""
    classes = [] if found.classes == manifest.classes else [f"the classes {', '.join(found.classes)}"]
    said = [note for note in found.notes if note not in manifest.notes]
    return "; ".join([f"{other} view: {counted(len(found.ids), 'image')}", *classes, *said])


def report_on(spec: AnySpec, view: View, contents: Contents) -> CheckReport:
    """Counts what was read."""
    parts, counts = np.unique(contents.official[contents.official != ""], return_counts=True)
    values, looks = contents.looks.values, [_looks(contents, label) for label in range(len(contents.classes))]
    twins = contents.twins, contents.ids
    seen = glance_notes(values, contents.ids, looks, contents.official)
    return CheckReport(
        source=str(spec),
        view=view,
        images=len(contents.ids),
        patients=len(np.unique(contents.patients)),
        classes=tuple(_count(contents, label) for label in range(len(contents.classes))),
        official=dict(zip(parts.tolist(), counts.tolist(), strict=True)),
        sizes=dict(contents.sizes),
        problems=contents.problems,
        notes=(
            *contents.notes,
            *across_notes(*twins),
            *within_notes(*twins),
            *contrary_notes(*twins, contents.labels),
            *seen,
        ),
        glance=glance(values, looks),
    )


def _count(contents: Contents, label: int) -> ClassCount:
    labels, truth = contents.labels[:, label], contents.truth[:, label]
    shares = _looks(contents, label).shares
    return ClassCount(
        name=contents.classes[label],
        images=int((labels == PRESENT).sum()),
        patients=len(np.unique(contents.patients[labels == PRESENT])),
        unlabelled=int((labels == UNKNOWN).sum()),
        present=int((truth == PRESENT).sum()),
        absent=int((truth == ABSENT).sum()),
        unknown=int((truth == UNKNOWN).sum()),
        present_patients=len(np.unique(contents.patients[truth == PRESENT])),
        foreground_share=float(shares.mean()) if shares.size else None,
    )


def _looks(contents: Contents, label: int) -> ClassLooks:
    rows = contents.mask_row[contents.truth[:, label] == PRESENT, label]
    return ClassLooks(
        name=contents.classes[label],
        shares=np.array(contents.shares, np.float64)[rows],
        pixels=np.array(contents.looks.pixels, np.int64)[rows],
        framed=np.array(contents.looks.framed, bool)[rows],
    )
