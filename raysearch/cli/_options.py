"""Options that mean the same thing in every command."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


class FiniteRange(click.FloatRange):
    """A range of numbers without ``nan`` and ``inf``, which compare as if they were inside."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


class Text(click.ParamType[str]):
    """Text that can be recorded: bytes that are none cannot stand in study.yaml, nor in JSON."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            encoding = sys.getfilesystemencoding()
            self.fail(f"{text} is not text ({encoding}), and has to be recorded; give it another name.", param, ctx)
        return text


TEXT = Text()
SEED = click.IntRange(0, 2**63 - 1)

study_argument = click.argument("study", required=False)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")

_REQUEST = [
    click.option(
        "--method",
        required=True,
        type=TEXT,
        metavar="NAME",
        help="A name of 'raysearch methods', or package.module:Class.",
    ),
    click.option(
        "--preset", type=click.Choice(["paper", "small"]), help="Default: paper on data in a folder, small on phantom."
    ),
    click.option("--space", type=TEXT, metavar="FILE", help="A search-space file of your own, or module:function."),
    click.option(
        "--set",
        "sets",
        multiple=True,
        type=TEXT,
        metavar="NAME=SPEC",
        help="Search a parameter: lr=log:1e-5:1e-2, x=float:0:1, u=int:0:6, p=choice:0.5,0.9.",
    ),
    click.option("--fix", "fixes", multiple=True, type=TEXT, metavar="NAME=VALUE", help="Fix a parameter."),
    click.option(
        "--data",
        type=TEXT,
        metavar="KIND:PATH[,KEY=VALUE...]",
        help="Data source, e.g. chestxray14:/data/nih,task=normal-vs-pneumonia,size=256; of methods that train on two:"
        " cls=SOURCE,seg=SOURCE. Default: the method's own, which is computed.",
    ),
    click.option(
        "--split",
        type=TEXT,
        default="random",
        show_default=True,
        metavar="random|official|fold:I/K|FILE",
        help="How images are divided, by patient, into train, tuning and test; FILE: a table of parts, FILE:fold=K, or"
        " train=LIST,test=LIST. Of two sources: cls=HOW,seg=HOW.",
    ),
    click.option("--split-seed", default=0, show_default=True, type=SEED, help="Seed of the split."),
    click.option(
        "--labelled",
        type=FiniteRange(min=0),
        metavar="AMOUNT",
        help="Training images that keep their labels: up to 1 a share of all, above 1 how many; default: the preset's,"
        " or all.",
    ),
    click.option(
        "--annotated",
        type=FiniteRange(min=0),
        metavar="AMOUNT",
        help="Training images that keep their regions: up to 1 a share of all, above 1 how many; default: the preset's,"
        " or all that have any.",
    ),
    click.option(
        "--unannotated",
        type=FiniteRange(min=0, max=1),
        metavar="SHARE",
        help="Share of the other training images that is trained on; default: all.",
    ),
    click.option("--metric", type=TEXT, metavar="NAME", help="What the search optimises; default: the method's own."),
    click.option(
        "--keep-evidence",
        type=TEXT,
        metavar="KIND[,KIND]",
        help="More evidence than the search needs: components (boxes), maps (SSIM, Hausdorff), ranks (from Python).",
    ),
    click.option(
        "--select",
        type=click.Choice(["best", "last"]),
        default="best",
        show_default=True,
        help="The epoch that a trial is judged by and exported with.",
    ),
    click.option(
        "--decision-thresholds",
        type=click.Choice(["solve", "sample", "fixed"]),
        default="solve",
        show_default=True,
        help="Who chooses decision thresholds: the exact solve, Optuna, or nobody.",
    ),
    click.option(
        "--loss-thresholds",
        type=click.Choice(["alternate", "sample", "fixed"]),
        help="Who chooses thresholds inside the loss: the alternating scheduler (default), Optuna, or nobody.",
    ),
    click.option(
        "--alternate",
        type=click.Choice(["criterion", "quantile", "search"]),
        help="Who proposes loss thresholds between rounds; default: criterion, or search where it cannot.",
    ),
    click.option(
        "--round-epochs",
        type=click.IntRange(min=1),
        metavar="N",
        help="Epochs between two proposals, or exchanges of pbt; default: 3.",
    ),
    click.option(
        "--slack-weight",
        type=FiniteRange(min=0, min_open=True),
        metavar="MU",
        help="What criterion gives for tighter thresholds beside hits; default: 0.5.",
    ),
    click.option("--per-class", is_flag=True, help="A decision threshold a class instead of a shared one."),
    click.option("--samples", type=click.IntRange(min=1), metavar="N", help="Trials; default: the preset's."),
    click.option("--epochs", type=click.IntRange(min=1), metavar="N", help="Epochs a trial; default: the preset's."),
    click.option(
        "--time",
        "time_budget",
        type=TEXT,
        metavar="DURATION",
        help="Begin no epoch after this long, e.g. 2h, 30m, 90s; running ones are finished.",
    ),
    click.option(
        "--trial-time", type=TEXT, metavar="DURATION", help="A trial that has trained for this long ends as failed."
    ),
    click.option(
        "--step-time",
        type=TEXT,
        default="30m",
        show_default=True,
        metavar="DURATION",
        help="A trial that finishes no training step and no evaluation batch for this long hangs, and ends as failed.",
    ),
    click.option("--seed", default=0, show_default=True, type=SEED, help="Seed of the search and its trainings."),
    click.option(
        "--scheduler",
        type=click.Choice(["fifo", "asha", "hyperband", "pbt"]),
        default="fifo",
        show_default=True,
        help="fifo trains all trials to the end, asha and hyperband stop weak ones early, pbt copies strong ones.",
    ),
    click.option(
        "--sampler",
        type=TEXT,
        default="tpe",
        show_default=True,
        metavar="tpe|random|grid",
        help="tpe and random draw; grid runs every combination of what --set names once, the rest at its defaults.",
    ),
    click.option(
        "--workers-per-trial",
        default=1,
        show_default=True,
        type=click.IntRange(min=1),
        help="Ray Train workers a trial.",
    ),
    click.option("--cpus-per-worker", default=1, show_default=True, type=click.IntRange(min=1), help="Cores a worker."),
    click.option("--gpus-per-worker", type=FiniteRange(min=0), help="GPUs a worker; default: 1 where there are any."),
    click.option("--slots", type=click.IntRange(min=1), help="Trials at a time; default: as many as fit."),
    click.option(
        "--address",
        type=TEXT,
        metavar="auto|HOST:PORT",
        help="Join a Ray cluster that is running; default: this machine.",
    ),
    click.option(
        "--keep-checkpoints",
        default=3,
        show_default=True,
        type=click.IntRange(min=1),
        help="Finished trials that keep their weights: the best ones.",
    ),
]


def request_options(command: F) -> F:
    """The options that define a study, shared by `plan` and `tune`."""
    for option in reversed(_REQUEST):
        command = option(command)
    return command


def print_json(value: Any) -> None:
    # the one control character that JSON leaves as it is
    click.echo(json.dumps(value, indent=2, default=str).replace("\x7f", "\\u007f"))
