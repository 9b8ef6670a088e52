"""The name under which the project is installed is not the one that is somebody else's on the package index."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

from raysearch import __version__

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_distribution_has_a_name_of_its_own() -> None:
    assert PROJECT["name"] == "raysearch-localization"
    assert PROJECT["scripts"] == {"raysearch": "raysearch.__main__:run"}
    assert PROJECT["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_nothing_tells_anybody_to_install_what_is_not_ours() -> None:
    """A requirement by name; a path such as ``.[dev]`` or ``~/src/raysearch[cloud]`` is our own."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    wrong = re.compile(r"(?<![\w./-])raysearch(\[\w+\]|[=~<>]=)|install\s+(-\S+\s+)*['\"]?raysearch(?!-localization)")
    for name in listed.splitlines():
        path = ROOT / name
        if path.suffix in (".py", ".md", ".toml", ".yaml", ".txt", "") and path.is_file() and path != Path(__file__):
            found = wrong.search(path.read_text("utf-8", errors="replace"))
            assert found is None, f"{name}: {found[0]}"
