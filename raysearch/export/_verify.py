"""Scores an exported model again and sets the numbers beside those that were exported. Not a new look at the test
split: weights and thresholds are the same, nothing can be chosen by the answer."""

from __future__ import annotations

from dataclasses import dataclass

from raysearch.data import open_collection, parse_data
from raysearch.errors import DataError, ExportError
from raysearch.export._bundle import Bundle
from raysearch.export._score import score_rows

TOLERANCE = 1e-6


@dataclass(frozen=True)
class Comparison:
    """Exported and new value of each metric."""

    values: dict[str, tuple[float, float]]

    @property
    def largest(self) -> float:
        return max((abs(a - b) for a, b in self.values.values()), default=0.0)

    @property
    def ok(self) -> bool:
        return self.largest <= TOLERANCE


def verify_bundle(bundle: Bundle, data: str | None = None) -> Comparison:
    """Scores the test split again.

    Args:
        data: where the data is now, if not where it was.

    Raises:
        ExportError: the data is not where it was, or not that of the export.
        DataError: `data` cannot be read.
    """
    source = str(bundle.config["data"]["source"]) if data is None else data
    try:
        collection = open_collection(parse_data(source), bundle.method.view)
    except DataError as error:
        if data is not None:
            raise
        raise ExportError(f"{error}; if the data has moved, say where it is with --data") from None
    expected = bundle.config["data"]["fingerprint"]
    if collection.fingerprint != expected:
        raise ExportError(
            f"{source} is not the data of this export (fingerprint {collection.fingerprint[:12]}, expected"
            f" {expected[:12]}): give the right folder and options with --data"
        )
    rows = bundle.rows(collection.image_ids, "test")
    again = score_rows(bundle.method, bundle.model, collection, rows, bundle.levels, bundle.config["metric"])["metrics"]
    before = bundle.results["metrics"]
    if again.keys() != before.keys():
        raise ExportError(f"{bundle.path}/results.json has other metrics than this version computes; export again")
    return Comparison({name: (float(before[name]), float(again[name])) for name in before})
