"""What a refusal says of what the data lacks, and of images that it has and that a view or an option leaves out."""

from __future__ import annotations

from raysearch.data._collection import Collection


def left_out(collection: Collection) -> str:
    """The notes on what was left out, and the remedy, for the end of an error message that finds too little in a
    collection; empty if nothing was left out."""
    notes = [note for note in collection.notes if "left out" in note]
    if not notes:
        return ""
    remedy = "choose other options of the data, such as task="
    if any("single view" in note for note in notes):
        remedy += (
            ", or a method of the multi view, where an image may have any number of classes ('raysearch methods' lists"
            " them)"
        )
    return f". Not all images are used: {'; '.join(notes)}; {remedy}"


def unknown_regions(collection: Collection) -> str:
    """The notes on regions that are unknown, such as for want of a table, for the end of an error message that finds
    too few of them; empty if there are none."""
    notes = [note for note in collection.notes if "unknown" in note and "left out" not in note]
    return f". Of the regions: {'; '.join(notes)}" if notes else ""
