"""Every mistake that a file can hold is found before anything starts: one line, with file, line and remedy."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raysearch.errors import SpaceError
from raysearch.space import load_space

Write = Callable[[str], str]

HEAD = "preset: mine\nextends: toy\n"


def refused(toy: Any, file: str | None, preset: str = "paper") -> str:
    with pytest.raises(SpaceError) as raised:
        load_space(toy, preset, file)
    message = str(raised.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("trian:\n  lr: {value: 1}\n", 3, "unknown key 'trian'; did you mean 'train'?"),
        ("train:\n  lrr: {value: 1}\n", 4, "unknown parameter 'lrr' of toy; did you mean 'lr'?"),
        ("train:\n  lr: {value: 1, note: x}\n", 4, "unknown key of the fixed parameter lr: 'note'"),
        ("train:\n  lr: {type: float, low: 1, hihg: 2, default: 1}\n", 4, "unknown key of lr (float): 'hihg'; did you"),
        ("train:\n  lr: {type: float, low: 1, choices: [1], default: 1}\n", 4, "unknown key of lr (float): 'choices'"),
        ("train:\n  lr: {type: flaot, low: 1, high: 2, default: 1}\n", 4, "unknown type 'flaot' of lr; did you"),
        ("train:\n  lr: {low: 1, high: 2}\n", 4, "lr has neither 'value' (fixed) nor 'type'"),
        ("train:\n  lr: 0.1\n", 4, "lr is '0.1', expected a mapping"),
        ("train:\n  lr:\n", 4, "lr is '', expected a mapping"),
        ("train:\n  lr: {type: float, low: 1, default: 1}\n", 4, "lr is searched as float but has no 'high'"),
        ("train:\n  mode: {type: choice, default: max}\n", 4, "mode is searched as choice but has no 'choices'"),
        ("train:\n  lr: {type: float, low: 1, high: 2}\n", 4, "lr has no default"),
        ("train:\n  lr: {type: float, low: 0.2, high: 0.1, default: 0.1}\n", 4, "lr: low is 0.2, above high 0.1"),
        ("train:\n  lr: {type: float, low: 0, high: 1, log: true, default: 1}\n", 4, "low is 0 on a logarithmic scale"),
        ("train:\n  lr: {type: float, low: -1, high: 1, log: true, default: 1}\n", 4, "low is -1 on a logarithmic"),
        ("train:\n  lr: {type: float, low: 1, high: 2, log: true, step: 1, default: 1}\n", 4, "step and log exclude"),
        ("train:\n  lr: {type: float, low: 0, high: 1, step: 0.3, default: 0}\n", 4, "high is 1, expected low plus"),
        ("train:\n  lr: {type: float, low: 0, high: 1, log: 3, default: 1}\n", 4, "log is 3, expected true or false"),
        ("train:\n  lr: {type: float, low: 0, high: 1, default: 3}\n", 4, "default 3.0 of lr is outside [0, 1]"),
        ("train:\n  lr: {type: float, low: 0, high: .inf, default: 3}\n", 4, "'.inf' is text, expected a finite"),
        ("train:\n  mode: {type: choice, choices: [max], default: mean}\n", 4, "default mean of mode is outside {max}"),
        ("train:\n  mode: {type: choice, choices: [max, man], default: max}\n", 4, "'man' is text, expected one of"),
        ("train:\n  mode: {type: choice, choices: max, default: max}\n", 4, "choices of mode is 'max', expected"),
        ("train:\n  mode: {type: choice, choices: [max, max], default: max}\n", 4, "choices names 'max' twice"),
        ("train:\n  mode: {type: choice, choices: [], default: max}\n", 4, "choices is empty"),
        ("train:\n  jitter: {type: choice, choices: [1], default: 1}\n", 4, "expected a list of 2, each"),
        ("train:\n  depth: {value: 1.5}\n", 4, "depth: 1.5 is a number, expected a whole number"),
        ("train:\n  depth: {type: float, low: 0, high: 2, default: 1}\n", 4, "0.5 is a number, expected a whole"),
        ("train:\n  depth: {type: int, low: 0.5, high: 2, default: 1}\n", 4, "0.5 is a number, expected a whole"),
        ("train:\n  depth: {value: true}\n", 4, "depth: True is true or false, expected a whole number"),
        ("train:\n  flip: {value: 1}\n", 4, "flip: 1 is a whole number, expected true or false"),
        ("train:\n  flip: {value: no}\n", 4, "flip: 'no' is text, expected true or false"),
        ("train:\n  lr: {value: fast}\n", 4, "lr: 'fast' is text, expected a finite number"),
        ("train:\n  mode: {value: media}\n", 4, "mode: 'media' is text, expected one of mean, max"),
        ("train:\n  backbone: {value: 18}\n", 4, "backbone: 18 is a whole number, expected text"),
        ("train:\n  jitter: {value: [1]}\n", 4, "jitter: [1] is a list, expected a list of 2"),
        ("train:\n  jitter: {value: [[1], 2]}\n", 4, "a list found, expected a value or a flat list"),
        ("train:\n  lr: {value: {a: 1}}\n", 4, "a mapping found, expected a value"),
        ("train:\n  lr: {value: !!python/name:os.system x}\n", 4, "the tag tag:yaml.org,2002:python/name:os.system"),
        ("train:\n  lr: {value: !evil x}\n", 4, "the tag !evil found"),
        ("train:\n  lr: {value: &a [*a]}\n", 4, "a list found, expected a value or a flat list"),
        ("train:\n  lr: {value: 1}\n  lr: {value: 2}\n", 5, "lr is given twice (first at {file}:4)"),
        ("train:\n  lr: {value: 1, value: 2}\n", 4, "value is given twice"),
        ("train:\n  lr: {value: 1}\npostprocess:\n  lr: {value: 2}\n", 6, "lr is given twice (first at {file}:4)"),
        ("stage:\n  lr: {value: 1}\n", 4, "lr is of kind 'train' at toy_spaces/toy.yaml:6; move it there"),
        ("train:\n  tau: {value: 1}\n", 4, "tau is listed under 'train', but toy has it as 'loss'"),
        ("train:\n  mask_threshold: {value: 1}\n", 4, "mask_threshold is listed under 'train', but toy"),
        ("decision:\n  lr: {value: 1}\n", 4, "lr is listed under 'decision', but toy has it as 'train'"),
        ("decision:\n  mask_threshold: {type: float, low: 0, high: 2, default: 1}\n", 4, "expected type float within"),
        ("train:\n  lr: {RANGE, per_class: true}\n", 4, "only thresholds can"),
        ("train:\n  depth: {type: int, low: 0, high: 12, default: 2}\n", 4, "depth may become 12, which toy refuses"),
        ("train:\n  depth: {value: 10}\n", None, "toy refuses the values: depth is 10: expected at most 9"),
        ("train:\n  lr: {RANGE, when: {mod: max}}\n", 4, "unknown parameter 'mod'; did you mean 'mode'?"),
        ("train:\n  lr: {RANGE, when: {mode: maxi}}\n", 4, "when: mode: 'maxi' is text, expected one of"),
        ("train:\n  lr: {RANGE, when: {mode: []}}\n", 4, "mode has no value to hold for"),
        ("train:\n  lr: {RANGE, when: max}\n", 4, "when is 'max', expected a mapping"),
        ("train:\n  lr: {RANGE, when: {depth: 1}}\n", 4, "depth is searched over [0, 6]; a condition"),
        (
            "train:\n  lr: {RANGE, when: {backbone: c}}\n"
            "  backbone: {type: choice, choices: [a, b], default: a}\n",
            4,
            "lr: when backbone is c: backbone is never that, only one of {a, b}",
        ),
        (
            "train:\n  mode: {type: choice, choices: [max, mean], default: max, when: {backbone: a}}\n"
            "  backbone: {type: choice, choices: [a, b], default: a, when: {mode: max}}\n",
            4,
            "its 'when' leads back to itself (mode -> backbone -> mode)",
        ),
        ("budget: {epochs: 0, samples: 2}\n", 3, "epochs is 0, expected a whole number of at least 1"),
        ("budget: {epochs: 3}\n", 3, "budget has no 'samples'"),
        ("budget: {epochs: 3, samples: 2, labelled: 0}\n", 3, "labelled is 0, expected a share in (0, 1] or a whole"),
        ("budget: {epochs: 3, samples: 2, labelled: 1.5}\n", 3, "labelled is 1.5, expected a share in (0, 1] or a"),
        ("budget: {epochs: 3, samples: 2, annotated: all}\n", 3, "annotated is 'all', expected a share in (0, 1]"),
        ("budget: {epochs: 3, samples: 2, annotated: .inf}\n", 3, "annotated is '.inf', expected a share in (0, 1]"),
        ("budget: {epochs: 3, samples: 2, trials: 3}\n", 3, "unknown key of budget: 'trials'"),
        ("method: wildcat\n", 3, "method is wildcat, but the study's is toy"),
        ("train: [lr]\n", 3, "train is a list, expected a mapping"),
        ("train:\n  lr: {value: 1\n", 5, "not YAML"),
        ("train:\n\tlr: {value: 1}\n", 4, "not YAML"),
        ("train:\n  ? [lr]\n  : {value: 1}\n", 4, "train has the key ['lr'], expected a name"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_line(toy: Any, write: Write, text: str, line: int | None, message: str) -> None:
    file = write(HEAD + text.replace("RANGE", "type: float, low: 0, high: 1, default: 1"))
    found = refused(toy, file)
    assert message.replace("{file}", file) in found
    assert found.startswith(f"{file}:{line}: " if line else file)


def test_files_that_are_no_search_space(toy: Any, write: Write, tmp_path: Path) -> None:
    assert "the file is empty" in refused(toy, write(""))
    assert "the file is a list, expected a mapping" in refused(toy, write("- lr\n"))
    assert "not YAML" in refused(toy, write("a: \x00\n"))
    assert "nest too deep" in refused(toy, write("a: " + "[" * 5000))
    assert "too many for a search space" in refused(toy, write("#" * (1 << 21)))
    assert "cannot be read (No such file" in refused(toy, str(tmp_path / "absent.yaml"))
    assert "cannot be read (Is a directory" in refused(toy, str(tmp_path))
    (tmp_path / "picture.yaml").write_bytes(b"\xff\xd8\xff")
    assert "not a text file" in refused(toy, str(tmp_path / "picture.yaml"))


def test_what_nothing_says(toy: Any, write: Write) -> None:
    message = refused(toy, write("method: toy\npreset: mine\nbudget: {epochs: 1, samples: 1}\n"))
    assert "'temperature' (a finite number) of toy has no default and no entry" in message
    assert "no budget here nor in what it extends" in refused(toy, write("preset: mine\ntrain: {lr: {value: 1}}\n"))
    assert "no preset here" in refused(toy, write("budget: {epochs: 1, samples: 1}\n"))


def test_extends(toy: Any, write: Write) -> None:
    message = refused(toy, write("extends: toyy\n"))
    assert message.endswith(":1: extends 'toyy': no such search space in toy_spaces; did you mean 'toy'?")
    (toy.folder / "a.yaml").write_text("extends: b\n")
    (toy.folder / "b.yaml").write_text("extends: a\n")
    message = refused(toy, write("preset: x\nextends: a\n"))
    assert re.search(
        r"b.yaml:1: extends 'a' leads back to itself: .* -> toy_spaces/b.yaml -> toy_spaces/a.yaml", message
    )
    assert "no such search space" in refused(toy, write("extends: ../toy_spaces/toy\n"))


def test_presets(toy: Any) -> None:
    assert refused(toy, None, "smal") == "--preset smal: toy has no such preset; known: paper"
    (toy.folder / "toy.small.yaml").write_text("extends: toy\n")
    assert "did you mean 'small'?" in refused(toy, None, "smal")
    assert "preset is paper, but the file's name says small" in refused(toy, None, "small")
    toy.spaces = "no_such_package"
    assert "the package no_such_package, which cannot be imported" in refused(toy, None)


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("--set", "lrr=float:0:1", "unknown parameter 'lrr' of toy; did you mean 'lr'?"),
        ("--set", "lr", "expected NAME=log:LOW:HIGH"),
        ("--set", "lr=uniform:0:1", "expected NAME=log:LOW:HIGH"),
        ("--set", "lr=float:0", "expected NAME=log:LOW:HIGH"),
        ("--set", "lr=log:1:2:3", "expected NAME=log:LOW:HIGH"),
        ("--set", "lr=float:0:fast", "'fast' is text, expected a finite number"),
        ("--set", "lr=log:0:1", "low is 0 on a logarithmic scale"),
        ("--set", "lr=float:2:1", "low is 2, above high 1"),
        ("--set", "depth=float:0:1", "0.5 is a number, expected a whole"),
        ("--set", "depth=int:0:12", "depth may become 12, which toy refuses"),
        ("--set", "mode=choice:max,men", "'men' is text, expected one of mean, max"),
        ("--set", "mask_threshold=float:0:2", "a decision threshold is searched within float:0:1"),
        ("--set", "mask_threshold=choice:0.1,0.2", "a decision threshold is searched within float:0:1"),
        ("--fix", "lr", "expected NAME=VALUE"),
        ("--fix", "lr=", "expected NAME=VALUE"),
        ("--fix", "lr=fast", "'fast' is text, expected a finite number"),
        ("--fix", "mode=men", "'men' is text, expected one of mean, max"),
        ("--fix", "mask_threshold=1.5", "1.5 is no decision threshold"),
    ],
)
def test_overrides_name_the_option(toy: Any, option: str, text: str, message: str) -> None:
    with pytest.raises(SpaceError) as raised:
        load_space(toy, "paper").override(**{"sets" if option == "--set" else "fixes": [text]})
    assert str(raised.value).startswith(f"{option} {text}: ")
    assert message in str(raised.value)


def test_overrides_that_contradict_each_other(toy: Any) -> None:
    space = load_space(toy, "paper")
    with pytest.raises(SpaceError, match=r"--fix lr=1: --set lr=float:0:1 already says what lr is"):
        space.override(["lr=float:0:1"], ["lr=1"])
    with pytest.raises(SpaceError, match="depth is 10: expected at most 9"):
        space.override(fixes=["depth=10"])


def test_a_choice_may_be_narrowed(toy: Any) -> None:
    """depth, which goes with mode = max, is no longer asked for."""
    space = load_space(toy, "paper")
    assert "depth" in space.searched
    assert "depth" not in space.override(["mode=choice:mean"]).searched


def test_overrides_without_effect(toy: Any) -> None:
    """mode is drawn in the file, so depth may be asked for; fixed as mean it never is."""
    space = load_space(toy, "paper")
    reason = ": depth goes with mode = max alone, and mode is mean (--fix mode=mean); change mode, or leave depth out"
    for sets, fixes in ((["depth=int:0:3"], []), ([], ["depth=3"])):
        with pytest.raises(SpaceError) as raised:
            space.override(sets, [*fixes, "mode=mean"])
        assert str(raised.value) == ("--set depth=int:0:3" if sets else "--fix depth=3") + reason
        space.override(sets, [*fixes, "mode=max"])
        space.override(sets, fixes)
    with pytest.raises(SpaceError, match=r"--fix depth=3: .* and mode is mean \(--set mode=choice:mean\)"):
        space.override(["mode=choice:mean"], ["depth=3"])


def test_overrides_without_effect_over_several_steps(toy: Any, write: Write) -> None:
    entries = """
  backbone: {type: choice, choices: [a, b], default: a, when: {mode: max}}
  flip: {type: choice, choices: [true, false], default: true, when: {backbone: b}}
"""
    space = load_space(toy, "paper", write(f"preset: mine\nextends: toy\ntrain:{entries}"))
    space.override(fixes=["flip=false"])
    with pytest.raises(
        SpaceError, match="flip=false: flip depends on backbone, and backbone goes with mode = max alone"
    ):
        space.override(fixes=["flip=false", "mode=mean"])
    with pytest.raises(SpaceError, match="--fix flip=false: flip goes with backbone = b alone, and backbone is a "):
        space.override(fixes=["flip=false", "backbone=a"])


def test_modes(toy: Any) -> None:
    space = load_space(toy, "paper")
    with pytest.raises(SpaceError, match=r"--loss-thresholds alternately: expected alternate or sample or fixed"):
        space.with_modes(loss_thresholds="alternately")
    with pytest.raises(SpaceError, match=r"--decision-thresholds sovle: .*did you mean 'solve'"):
        space.with_modes(decision_thresholds="sovle")
