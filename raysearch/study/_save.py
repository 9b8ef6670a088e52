"""A prepared study's folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raysearch.study._split_file import write_parts
from raysearch.study._study import Study, create_study, studies_root

if TYPE_CHECKING:
    from raysearch.study._prepare import Prepared


def save_study(prepared: Prepared) -> Study:
    """Writes a prepared study's folder.

    Raises:
        StudyError: the name is taken, or the folder cannot be written.
        StorageError: the disk is full.
    """

    def write_split(study: Study) -> None:
        write_parts(study, prepared.collection, prepared.split, prepared.annotation, prepared.labelling)

    return create_study(prepared.config, studies_root(), prepared.name, write_split)
