"""Settings that may name a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

NameOrPath = Annotated[str, Path]
"""The type of a `Config` field that holds a word (``imagenet``) or the path of a file (``moco.pth``).

Text with a suffix or a separator is a path; a relative one is made absolute where it is read, because trials run in
folders of their own."""
