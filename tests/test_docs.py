"""What the documents say exists: the files that they link to, and the commands and options that they show."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from raysearch.cli import COMMANDS, app

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")]
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.M)
SHOWN = re.compile(r"^(?:\S*/)?raysearch (?!is\b)(.+)$")


def shown_commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for block in re.findall(r"^```\w*\n(.*?)^```", page.read_text(), re.M | re.S):
            for line in block.splitlines():
                for part in line.split("#")[0].split("&&"):
                    match = SHOWN.match(part.strip())
                    if match:
                        found.append((page.name, match[1].strip()))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text()):
        if "://" in target:
            continue
        other = page.parent / target if target else page
        assert other.exists(), target
        if anchor:
            assert anchor in {anchor_of(heading) for heading in HEADING.findall(other.read_text())}, (
                f"{target}#{anchor}"
            )


def anchor_of(heading: str) -> str:
    """As GitHub names a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize(("page", "text"), shown_commands())
def test_commands_exist_with_their_options(page: str, text: str) -> None:
    words = shlex.split(text)
    command: click.Command | None = app
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        command = command.get_command(click.Context(command), words.pop(0))
    assert command is not None, f"{page}: {text}"
    options = {name for parameter in command.params for name in parameter.opts}
    for word in words:
        if word.startswith("--"):
            assert word.split("=")[0] in options | {"--help"}, f"{page}: {text}"


def test_the_table_of_commands_is_whole() -> None:
    assert {text.split()[0] for _, text in shown_commands()} <= set(COMMANDS)
    assert len(shown_commands()) > 10
