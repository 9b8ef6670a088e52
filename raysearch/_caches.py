"""Where what is worth keeping from one command to the next lies."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """RAYSEARCH_CACHE, or ``~/.cache/raysearch``."""
    return Path(os.environ.get("RAYSEARCH_CACHE") or "~/.cache/raysearch").expanduser().absolute()


def keep_compiled_code() -> None:
    """Torch makes a folder for compiled code as soon as it is imported, by default among temporary files, where it
    would stay for ever. The user's own word stands."""
    try:
        root = cache_root()
    except RuntimeError:  # there is no home
        return
    nearest = next(folder for folder in (root, *root.parents) if folder.exists())
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(root / "torchinductor"))
