from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from raysearch.errors import MethodError
from raysearch.method import _registry, load_method, method_names, titles

OURS = {
    "minmax_entropy": "methods.minmax_entropy:MinMaxEntropy",
    "cam_avg": "methods.cam:CamAvg",
    "cam_max": "methods.cam:CamMax",
    "cam_lse": "methods.cam:CamLse",
    "wildcat": "methods.cam:Wildcat",
    "deep_mil": "methods.deep_mil:DeepMil",
    "grad_cam": "methods.cam:GradCam",
    "unet": "methods.unet:UNet",
    "all_ones": "methods.all_ones:AllOnes",
}


def register(monkeypatch: pytest.MonkeyPatch, *pairs: tuple[str, str]) -> None:
    found = [EntryPoint(name=name, value=value, group=_registry.GROUP) for name, value in pairs]
    monkeypatch.setattr(_registry, "entry_points", lambda group: found if group == _registry.GROUP else [])


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, *OURS.items())


def refusal(name: str) -> str:
    with pytest.raises(MethodError) as error:
        load_method(name)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.usefixtures("ours")
def test_every_name_loads_the_method_of_that_name() -> None:
    assert method_names() == tuple(sorted(OURS))
    for name, target in OURS.items():
        method = load_method(name)
        assert method.name == name
        assert f"{method.__module__}:{method.__name__}".startswith(target.split(":")[0])
        assert titles()[name] == method.title


@pytest.mark.usefixtures("ours")
def test_an_unknown_name_gets_the_nearest() -> None:
    assert "did you mean 'minmax_entropy'?" in refusal("minmax_entrpy")


def test_a_path_needs_no_registration(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch)
    assert load_method("methods.cam:CamAvg").name == "cam_avg"
    assert "cannot be loaded" in refusal("no_such_package:Mine")
    assert "did you mean 'CamAvg'?" in refusal("methods.cam:CamAvgs")
    assert "expected a subclass" in refusal("methods.cam:CamConfig")


def test_a_broken_plugin_is_skipped_in_lists_and_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "broken_plugin.py").write_text("raise RuntimeError('two\\nlines')\n")
    monkeypatch.syspath_prepend(tmp_path)
    register(monkeypatch, ("broken", "broken_plugin:Method"), ("cam_avg", OURS["cam_avg"]))
    assert method_names() == ("broken", "cam_avg")
    with pytest.warns(UserWarning, match="broken_plugin"):
        assert set(titles()) == {"cam_avg"}
    assert "RuntimeError: two lines" in refusal("broken")


def test_two_packages_with_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, ("cam_avg", OURS["cam_avg"]), ("cam_avg", "other:CamAvg"))
    assert "registered 2 times" in refusal("cam_avg")
    register(monkeypatch, ("cam_avg", OURS["cam_avg"]), ("cam_avg", OURS["cam_avg"]))
    assert load_method("cam_avg").name == "cam_avg"


def test_a_name_has_to_be_the_methods_own(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, ("mine", OURS["cam_avg"]))
    assert "calls itself 'cam_avg'" in refusal("mine")


def test_listing_names_imports_neither_torch_nor_methods() -> None:
    code = (
        "import sys; from raysearch.method import method_names; method_names();"
        "print([m for m in ('torch', 'methods', 'ray') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
