"""What ``raysearch data check`` tells of several sources: of each in turn, then of all together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from raysearch.data._build import Contents, Progress
from raysearch.data._cache import load_contents, open_collection
from raysearch.data._check import CheckReport, check, report_on
from raysearch.data._collection import View
from raysearch.data._glance import Looks
from raysearch.data._spec import REGIONS, JoinedSpec
from raysearch.data._twins import across_notes


@dataclass(frozen=True, kw_only=True)
class JoinedReport:
    """Each source's report by name, and that of the sources together; None where one of them has a problem."""

    source: str
    sources: dict[str, CheckReport]
    joined: CheckReport | None

    @property
    def problems(self) -> tuple[str, ...]:
        return tuple(f"{name}: {problem}" for name, report in self.sources.items() for problem in report.problems)

    @property
    def ok(self) -> bool:
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        sources = {name: report.as_dict() for name, report in self.sources.items()}
        joined = None if self.joined is None else self.joined.as_dict()
        return {"source": self.source, "sources": sources, "joined": joined, "ok": self.ok}

    def lines(self) -> list[str]:
        """For people: a paragraph a source, then one of them together."""
        lines = []
        for name, report in self.sources.items():
            lines += [f"{name}:", *(f"  {line}" for line in report.lines())]
        if self.joined is not None:
            lines += ["together:", *(f"  {line}" for line in self.joined.lines())]
        return lines


def check_joined(
    spec: JoinedSpec, view: View = "multi", cache_root: Path | str | None = None, progress: Progress | None = None
) -> JoinedReport:
    """Reads all of several sources and reports on them; raises as `check` does, and DataError if they do not fit."""
    reports = {name: check(source, view, cache_root, progress) for name, source in spec.sources}
    if REGIONS in reports:  # its images may have any number of classes, whatever the view of the labels
        reports[REGIONS] = replace(reports[REGIONS], other_view="")
    if any(not report.ok for report in reports.values()):
        return JoinedReport(source=str(spec), sources=reports, joined=None)
    collection = open_collection(spec, view, cache_root, progress)
    own = {name: load_contents(Path(part.folder)) for name, part in zip(spec.names, collection.parts, strict=True)}
    looks = own[REGIONS].looks if REGIONS in own else Looks.of(0)
    contents = Contents(
        classes=collection.classes,
        ids=collection.image_ids,
        patients=collection.patients,
        official=collection.official,
        labels=collection.labels,
        truth=collection.truth,
        mask_row=collection.mask_row,
        looks=replace(looks, values=np.concatenate([part.looks.values for part in own.values()])),
        shares=own[REGIONS].shares if REGIONS in own else [],
        sizes=sum((Counter(report.sizes) for report in reports.values()), Counter()),
        notes=(*collection.notes, *across_notes(collection.twins, collection.image_ids)),
    )
    return JoinedReport(source=str(spec), sources=reports, joined=report_on(spec, view, contents))
