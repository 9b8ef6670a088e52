"""What `tune` is asked for and cannot be meant: one line, exit code 2, and no search begins."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from export.finished_studies import SMALL

from cli.conftest import Refuse
from methods.cam import CamAvg

ASKED = ("tune", "--method", "cam_avg", "--data", SMALL)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("tun",), ("unknown command 'tun'", "did you mean 'tune'?")),
        (("zzz",), ("unknown command 'zzz'", "known: dashboard, data")),
        (("tune", "--methd", "x"), ("--methd", "--method", "'raysearch tune --help'")),
        (("tune",), ("--method", "'raysearch tune --help'")),
        (("status", "a", "b"), ("unexpected extra argument", "b", "'raysearch status --help'")),
        (("data", "chek"), ("chek", "check", "'raysearch data --help'")),
        (("tune", "--method", "cam_avgg"), ("unknown method 'cam_avgg'", "did you mean 'cam_avg'?")),
        (("tune", "--method", "nowhere:Class"), ("nowhere:Class", "No module named 'nowhere'", "installed")),
        (("tune", "--method", "os:path"), ("os:path", "expected a subclass of raysearch.method.Method")),
    ],
)
def test_names_that_are_not_known(refuse: Refuse, argv: tuple[str, ...], says: tuple[str, ...]) -> None:
    refuse(*argv, says=says)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--samples", "0"), ("--samples", "0 is not in the range x>=1")),
        (("--samples", "many"), ("--samples", "many")),
        (("--seed", "-1"), ("--seed", "-1 is not in the range 0<=x<=9223372036854775807")),
        (("--seed", str(2**63)), ("--seed", "9223372036854775808 is not in the range")),
        (("--split-seed", str(2**63)), ("--split-seed", "9223372036854775808 is not in the range")),
        (("--preset", "smal"), ("--preset", "'smal'", "'paper', 'small'")),
        (("--preset", "smal"), ("'raysearch tune --help'",)),
        (("--metric", "f1_pls"), ("--metric f1_pls", "did you mean 'f1_plus'?")),
        (("--metric", "dice"), ("--metric dice", "the Dice of masks is f1_plus", "cdice is that of soft maps")),
        (("--metric", "AUROC"), ("--metric AUROC", "it is auc")),
        (("--metric", "precision"), ("--metric precision", "the one surest pixel wins", "f1_plus, iou")),
        (("--metric", "recall"), ("--metric recall", "a mask of the whole image wins", "f1_plus, iou")),
        (("--sampler", "tpee"), ("--sampler tpee", "did you mean 'tpe'?")),
        (("--sampler", "grid"), ("--sampler grid", "lr is any number", "--set lr=choice:A,B")),
        (
            ("--sampler", "grid", "--set", "lr=choice:0.1,0.01", "--samples", "3"),
            ("--samples 3", "the grid has 2 points"),
        ),
        (("--scheduler", "hyperband", "--epochs", "2"), ("--epochs 2", "pass --epochs 3 or more")),
        (("--scheduler", "hyperband", "--epochs", "9", "--samples", "8"), ("--samples 8", "has 9 trials")),
        (("--scheduler", "pbt", "--samples", "3"), ("--samples 3", "pass --samples 4 or more")),
        (("--scheduler", "pbt", "--epochs", "3"), ("--epochs 3", "exchanges after every 3 epochs")),
        (
            ("--scheduler", "pbt", "--fix", "lr=0.1", "--fix", "weight_decay=0"),
            ("--scheduler pbt", "nothing is searched"),
        ),
        *(
            (
                ("--scheduler", name, "--decision-thresholds", "sample"),
                (f"--scheduler {name}: with --decision-thresholds sample", "good draw", "pass --scheduler fifo"),
            )
            for name in ("asha", "hyperband", "pbt")
        ),
        (("--time", "2"), ("--time '2'", "expected a duration such as 2h, 30m or 90s")),
        (("--time", "-2h"), ("--time '-2h'", "expected a duration")),
        (("--time", ""), ("--time ''", "expected a duration")),
        (("--time", "9999999999h"), ("--time 9999999999h", "expected at most 87600h")),
        (("--time", f"1{'0' * 400}h"), ("expected at most 87600h",)),
        (("--time", "0s"), ("--time 0s", "expected a duration above 0")),
        (("--study", "two words"), ("--study 'two words'", "letters, digits")),
        (("--study", "../elsewhere"), ("--study '../elsewhere'", "letters, digits")),
        (("--study", ""), ("--study ''", "letters, digits")),
        (("--study", "x" * 300), ("cannot be a study's name", "at most 100")),
        (("--split", "nope.csv"), ("--split nope.csv", "there is no such file", "official, fold:I/K or a CSV file")),
        (("--split", "official"), (SMALL, "has no published split", "--split random")),
        (("--workers-per-trial", "9999"), ("needs 9999 CPUs", "lower --workers-per-trial")),
        (("--cpus-per-worker", "9999"), ("needs 9999 CPUs", "--cpus-per-worker")),
        (("--gpus-per-worker", "999"), ("needs 999 GPUs", "lower --gpus-per-worker")),
        (("--gpus-per-worker", "nan"), ("--gpus-per-worker", "nan is not a finite number")),
        (("--gpus-per-worker", "inf"), ("--gpus-per-worker", "inf is not a finite number")),
        (("--address", "nonsense"), ("--address nonsense", "expected 'auto' or HOST:PORT")),
        (("--address", ":6379"), ("--address :6379", "expected 'auto' or HOST:PORT")),
        (
            ("--address", "ray://head:10001"),
            ("--address ray://head:10001", "ray job submit --address http://head:8265"),
        ),
    ],
)
def test_values_that_cannot_be_meant(refuse: Refuse, options: tuple[str, ...], says: tuple[str, ...]) -> None:
    refuse(*ASKED, *options, says=says)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--fix", "nonsense=3"), ("--fix nonsense=3", "unknown parameter 'nonsense' of cam_avg", "known: ")),
        (("--fix", "lrr=3"), ("--fix lrr=3", "did you mean 'lr'?")),
        (("--fix", "lr"), ("--fix lr:", "expected NAME=VALUE")),
        (("--fix", "lr=fast"), ("--fix lr=fast", "'fast' is text, expected a finite number")),
        (("--fix", "lr=nan"), ("--fix lr=nan", "expected a finite number")),
        (("--fix", "lr=-1"), ("lr is -1", "expected a number in (0, inf)")),
        (("--fix", "normalize=hlf"), ("--fix normalize=hlf", "expected one of half, imagenet")),
        (("--fix", "mask_threshold=1.5"), ("--fix mask_threshold=1.5", "expected a number in [0, 1]")),
        (("--fix", "backbone=resnt18"), ("unknown backbone 'resnt18'", "did you mean 'resnet18'?")),
        (("--fix", "weights=/no/such.pth"), ("'/no/such.pth' not found", "random, imagenet")),
        (("--fix", "batch=1000"), ("batch 1000", "36 training images", "--fix batch=18")),
        (("--set", "batch=int:8:1000"), ("batch 1000", "36 training images", "--fix batch=18")),
        (("--set", "lr=float:0:1:1e-30"), ("--set lr=float:0:1:1e-30", "too fine", "leave out the step")),
        (("--set", "lr=float:-1e308:1e308"), ("expected numbers from -1e+300 to 1e+300",)),
        (("--set", "backbone=choice:[1,2],[3]"), ("'[1' has a bracket", "in double quotes")),
        (("--set", "backbone=choice:a,b,"), ("is empty", "leave out the comma")),
        (("--set", "lr=log:0:1"), ("--set lr=log:0:1", "logarithmic scale", "expected a number above 0")),
        (("--set", "lr=log:1:0.1"), ("--set lr=log:1:0.1", "low is 1, above high 0.1", "swap them")),
        (("--set", "lr=float:-1:1"), ("lr may become -1", "expected a number in (0, inf)", "narrow the search")),
        (("--set", "lr=uniform:0:1"), ("--set lr=uniform:0:1", "NAME=float:LOW:HIGH")),
        (("--set", "lr"), ("--set lr:", "NAME=log:LOW:HIGH")),
        (("--set", "lr=log:a:b"), ("--set lr=log:a:b", "'a' is text")),
        (("--set", "horizontal_flip=float:0:1"), ("--set horizontal_flip=float:0:1", "expected true or false")),
        (("--set", "mask_threshold=float:0:2"), ("--set mask_threshold=float:0:2", "within float:0:1")),
        (("--set", "lr=log:0.1:1", "--fix", "lr=0.1"), ("--fix lr=0.1", "--set lr=log:0.1:1", "leave out one")),
    ],
)
def test_overrides_that_cannot_be_meant(refuse: Refuse, options: tuple[str, ...], says: tuple[str, ...]) -> None:
    refuse(*ASKED, *options, says=says)


BOUNDED = ("tune", "--method", "limited_annotation", "--data", SMALL, "--fix", "batch=8")
ALL_FIXED = ("--fix", "tau=0.6", "--fix", "rho=0.2", "--fix", "tau_hat=0.1", "--fix", "rho_hat=0.05")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--epochs", "5"), ("--epochs 5 is fewer than two rounds of 3", "--epochs 6", "--round-epochs 2")),
        (("--epochs", "1"), ("--epochs 1 is fewer", "--epochs 6 or more, or --loss-thresholds fixed")),
        (("--round-epochs", "0"), ("--round-epochs", "0 is not in the range x>=1")),
        (("--slack-weight", "0"), ("--slack-weight", "0.0 is not in the range x>0")),
        (("--slack-weight", "1", "--alternate", "quantile"), ("--slack-weight 1", "only the proposer criterion")),
        (("--alternate", "criterian"), ("--alternate", "'criterion', 'quantile', 'search'")),
        (("--alternate", "search", "--loss-thresholds", "fixed"), ("--alternate search", "--loss-thresholds is fixed")),
        (("--round-epochs", "2", "--loss-thresholds", "sample"), ("--round-epochs 2", "--loss-thresholds is sample")),
        ((*ALL_FIXED, "--alternate", "search"), ("all of limited_annotation's loss thresholds are fixed",)),
        (
            (*ALL_FIXED, "--loss-thresholds", "alternate"),
            ("are fixed (tau, rho, tau_hat, rho_hat)", "leave the option"),
        ),
        (("--fix", "tau=1.5"), ("tau", "1.5", "[0, 1]")),
        (("--fix", "rho_hat=0.2", "--fix", "tau_hat=0.1"), ("rho_hat may become 0.2 and tau_hat 0.1", "stay under")),
        (("--fix", "tau={nodule: 0.3}"), ("tau is given for nodule, expected each class", "nodule, consolidation")),
        (("--annotated", "0.001"), ("--annotated 0.001", "leaves no annotated image", "give at least")),
        (("--annotated", "1.5"), ("--annotated 1.5", "expected a share of the training images from 0 to 1")),
        (("--unannotated", "nan"), ("--unannotated", "nan is not a finite number")),
        (("--keep-evidence", "rank"), ("--keep-evidence rank", "did you mean 'ranks'?")),
        (("--keep-evidence", "counts"), ("--keep-evidence counts: counts is kept whenever", "leave it out")),
        (("--metric", "ior_accuracy"), ("--metric ior_accuracy", "cannot be the only objective")),
        (("--metric", "iou_accuracy@2"), ("--metric iou_accuracy@2", "expected a number in (0, 1]")),
    ],
)
def test_loss_thresholds_shares_and_evidence(refuse: Refuse, options: tuple[str, ...], says: tuple[str, ...]) -> None:
    refuse(*BOUNDED, *options, says=says)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--alternate", "search"), ("--alternate search", "cam_avg has no loss thresholds", "leave it out")),
        (("--slack-weight", "1"), ("--slack-weight 1.0", "cam_avg has no loss thresholds")),
        (("--loss-thresholds", "alternate"), ("cam_avg has no loss thresholds", "leave the option out")),
        (("--annotated", "0.5"), ("--annotated 0.5: cam_avg trains on no regions (supervision image)",)),
        (("--unannotated", "0.5"), ("--unannotated 0.5: cam_avg trains on no regions (supervision image)",)),
    ],
)
def test_options_that_do_not_apply(refuse: Refuse, options: tuple[str, ...], says: tuple[str, ...]) -> None:
    refuse(*ASKED, *options, says=says)


HEAD = "method: cam_avg\npreset: small\nextends: cam_avg.small\ntrain:\n"


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("lrr: {value: 1, source: ours}", ("unknown parameter 'lrr' of cam_avg", "did you mean 'lr'?")),
        ("lr: {type: floot, low: 0.1, high: 1, default: 1}", ("unknown type 'floot'", "did you mean 'float'?")),
        ("normalize: {type: choice, choices: [halff, imagenet]}", ("'halff'", "expected one of half, imagenet")),
        ("batch: {type: int, low: -8, high: 8, default: 8}", ("batch may become -8", "narrow the search")),
        ("lr: {type: float, low: 1, high: 0.1, default: 1}", ("low is 1, above high 0.1", "swap them")),
        ("lr: {type: float, low: 0, high: 1, log: true, default: 1}", ("logarithmic scale", "leave out log")),
        ("lr: {type: float, low: 0.1, high: 1, default: 5}", ("default 5", "outside [0.1, 1]", "widen the range")),
        ("batch: {value: 16.5}", ("16.5 is a number", "expected a whole number")),
        ("lr: fast", ("lr is 'fast'", "expected a mapping")),
        ("lr:\n\tvalue: 1", ("not YAML", "'\\t'")),
    ],
)
def test_a_search_space_file_is_refused_with_its_line(
    refuse: Refuse, tmp_path: Path, entry: str, says: tuple[str, ...]
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"{HEAD}  {entry}\n")
    line = refuse(*ASKED, "--space", file, says=says)
    assert f"{file}:{6 if chr(9) in entry else 5}: " in line


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", ("the file is empty", "expected a search space")),
        (b"- a\n- b\n", (":1:", "the file is a list", "expected a mapping")),
        (b"\xff\xfe\x00", ("not a text file", "YAML in UTF-8")),
        (b"method: wildcat\npreset: small\nextends: wildcat.small\n", (":1:", "wildcat", "cam_avg", "change one")),
    ],
)
def test_a_file_that_is_no_search_space(refuse: Refuse, tmp_path: Path, content: bytes, says: tuple[str, ...]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    refuse(*ASKED, "--space", file, says=(str(file), *says))
    refuse("spaces", "cam_avg", "--space", file, says=(str(file),))


def test_a_search_space_that_is_not_there(refuse: Refuse, tmp_path: Path) -> None:
    refuse(*ASKED, "--space", tmp_path / "no.yaml", says=("no.yaml", "cannot be read", "give the path"))
    refuse(*ASKED, "--space", tmp_path, says=("Is a directory", "give the path of a YAML file"))
    refuse(*ASKED, "--space", "nowhere:function", says=("--space nowhere:function", "expected module:function"))


@pytest.mark.parametrize("place", ["build", "stages", "check"])
def test_a_method_that_leaves_while_it_is_tried(refuse: Refuse, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Else the command would end without a word, as if all were well."""
    monkeypatch.setattr(CamAvg, place, lambda *_: sys.exit(0))
    refuse(*ASKED, says=("method cam_avg called sys.exit(0)", "expected an exception"))


def test_a_module_that_leaves_when_it_is_imported(
    refuse: Refuse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leaving_method.py").write_text("import sys\nsys.exit('no main guard')\n")
    monkeypatch.syspath_prepend(tmp_path)
    refuse("tune", "--method", "leaving_method:M", says=("leaving_method:M cannot be loaded", "SystemExit: no main"))
