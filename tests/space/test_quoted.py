"""Text choices with commas, and what is not silently cut in two."""

from __future__ import annotations

from typing import Any

import pytest

from raysearch.errors import SpaceError
from raysearch.space import Choice, load_space


def choices(toy: Any, spec: str, name: str = "backbone") -> tuple[object, ...]:
    domain = load_space(toy, "paper").override(sets=[f"{name}=choice:{spec}"]).parameters[name].domain
    assert isinstance(domain, Choice)
    return domain.choices


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("a,b", ("a", "b")),
        ("a, b", ("a", "b")),
        ('"[1,2]","[3]"', ("[1,2]", "[3]")),
        ('"[1,2]", "[3]"', ("[1,2]", "[3]")),
        ('a,""', ("a", "")),
        ('"a ""b"", c",d', ('a "b", c', "d")),
        ('" a",b', (" a", "b")),
        ('":)",":("', (":)", ":(")),
        ("[1],[2]", ("[1]", "[2]")),
        ("don't,won't", ("don't", "won't")),
        ('"1","2"', ("1", "2")),
        ("1.50,2", ("1.50", "2")),
        ("a #1,a #2", ("a #1", "a #2")),
        ("- a,- b", ("- a", "- b")),
        ("a: b,c", ("a: b", "c")),
        ("*a,&b c", ("*a", "&b c")),
        ("'a','b'", ("a", "b")),
    ],
)
def test_text(toy: Any, spec: str, expected: tuple[str, ...]) -> None:
    assert choices(toy, spec) == expected


def test_quoted_numbers_are_numbers_where_text_does_not_fit(toy: Any) -> None:
    assert choices(toy, '"0.5","1"', "lr") == (0.5, 1)
    assert choices(toy, "null,0.5", "extra") == (None, 0.5)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("[1,2],[3]", "'[1' has a bracket or quote without its other half"),
        ("(1,2),3", "'(1' has a bracket"),
        ("{a: 1,b: 2},x", "'{a: 1' has a bracket"),
        ("a),b", "'a)' has a bracket"),
        ("'a,b',c", "''a' has a bracket or quote"),
        ("a,b,", "one of the values of 'a,b,' is empty; leave out the comma"),
        ("a,,b", "is empty"),
        (",a", "is empty"),
        (" ,a", "is empty"),
        ('"a,b', "begins with a double quote that is not closed"),
        ('"a"b,c', "begins with a double quote that is not closed"),
        ("", "is empty"),
        ('"a","a"', "choices names 'a' twice"),
    ],
)
def test_refused_in_one_line(toy: Any, spec: str, message: str) -> None:
    with pytest.raises(SpaceError) as refused:
        choices(toy, spec)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("[1,2]", "[1,2]"),
        ("a,b", "a,b"),
        ('""', ""),
        ("a #b", "a #b"),
        ('"a, b"', "a, b"),
        ("a: b", "a: b"),
        (" a", "a"),
    ],
)
def test_fix_takes_the_whole_text(toy: Any, typed: str, value: str) -> None:
    assert load_space(toy, "paper").override(fixes=[f"backbone={typed}"]).defaults()["backbone"] == value


def test_fix_of_a_list(toy: Any) -> None:
    assert load_space(toy, "paper").override(fixes=["jitter=[0.1,0.2]"]).defaults()["jitter"] == (0.1, 0.2)
