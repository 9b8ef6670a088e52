"""What `tune` and `resume` share: run a study under a display and say what came out."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from raysearch import _signals
from raysearch._text import counted, duration, one_line
from raysearch.errors import MethodError

if TYPE_CHECKING:
    from raysearch.study import Cluster, Prepared, Study


def prepare_request(request: dict[str, Any], cluster: Cluster) -> Prepared:
    """Checks a request, what costs nothing first: what can never be scheduled is refused before torch is imported."""
    from raysearch.study import fit

    fit(
        cluster.machine(),
        workers=request["workers_per_trial"],
        cpus=request["cpus_per_worker"],
        gpus=request["gpus_per_worker"],
        slots=None,
        samples=1,
    )
    from raysearch.study import Request, prepare

    try:
        return prepare(Request(**request), cluster)
    except SystemExit as error:
        raise MethodError(
            f"method {request['method']} called sys.exit({error.code!r}) when it was tried with the settings of its"
            " search space; expected an exception that says what is wrong"
        ) from error


def show_notes(prepared: Prepared) -> None:
    """What the user should know, once nothing can be refused any more: a refusal is one line."""
    for warning in prepared.warnings:
        click.echo(one_line(f"note: {warning}"), err=True)


@contextlib.contextmanager
def resumable(study: Study) -> Iterator[None]:
    """Within it a signal ends the process with a word on how to go on: from here on there is a study to go on with."""
    terminal = os.dup(1)  # not the log, whenever it is
    try:
        with _signals.at_once(lambda: os.write(terminal, f"{how_to_go_on(study, _signals.reason())}\n".encode())):
            yield
    except KeyboardInterrupt:
        click.echo(how_to_go_on(study, _signals.reason()))
        sys.exit(_signals.exit_code())
    finally:
        os.close(terminal)


def how_to_go_on(study: Study, reason: str) -> str:
    return f"stopped ({reason}); go on with: raysearch resume {study.typed}"


def run_and_report(study: Study, cluster: Cluster) -> None:
    """Runs what is left of a study. Exits with 128 + the number of a signal that stopped it."""
    from raysearch.cli._trivial import class_lines, trial_lines
    from raysearch.display import Progress
    from raysearch.study import (
        beside_trivial,
        best_of,
        corrected_winner,
        plain_by_class,
        read_records,
        run_study,
        winner_lines,
    )
    from raysearch.study._quiet import chatter_to

    config = study.config
    budget = f"{counted(config.budget.samples, 'trial')} of {counted(config.budget.epochs, 'epoch')}"
    click.echo(
        f"study {study.name}: {config.method} ({config.preset} preset) on {config.data}, {budget},"
        f" {config.resources.slots} at a time; log in {study.log}"
    )
    with study.hold(), chatter_to(study.log) as terminal, Progress(terminal, config) as progress:
        stop = run_study(study, cluster, progress.listen)
    records = read_records(study)
    best = best_of(records, maximise=config.direction == "maximize")
    if best is not None:
        settings = " ".join(f"{k}={v:.6g}" if isinstance(v, float) else f"{k}={v}" for k, v in best.params.items())
        thresholds = " ".join(f"{k}={v:.4f}" for k, v in best.result.get("thresholds", {}).items())
        click.echo(f"best: trial {best.number}, {config.metric} {best.value:.4f} on the tuning split (cross-fitted)")
        won = corrected_winner(study, records)
        for line in winner_lines(won):
            click.echo(f"  {line}")
        by_class = class_lines(config.metric, plain_by_class(study, best))
        for line in [*by_class, *trial_lines(beside_trivial(study, best, won))]:
            click.echo(line)
        for line in filter(None, (settings, thresholds)):
            click.echo(one_line(f"  {line}"))
        for name, by_class in best.result.get("alternation", {}).get("thresholds", {}).items():
            click.echo(f"  {name}: {_values(by_class)}")
    failed = [r for r in records if r.state in ("failed", "crashed")]
    if failed:
        click.echo(f"{counted(len(failed), 'trial')} failed: 'raysearch status {study.typed}' shows why")
    if stop is not None and (config.budget.samples > sum(r.state != "running" for r in records)):
        more = "" if stop.kind != "time" else f" --time {_more(study)}"
        click.echo(f"{how_to_go_on(study, stop.reason)}{more}")
        sys.exit(_signals.exit_code() if stop.kind == "interrupt" else 0)
    if best is None:
        click.echo("no trial finished with a value")
        sys.exit(1)
    name, model = study.typed, shlex.quote(f"{study.name}-model")
    click.echo(f"next: raysearch export {name} --out {model}")
    click.echo(f"      raysearch verify {model}")
    click.echo(f"      raysearch predict {model} IMAGE... --out masks")
    if stop is not None and stop.kind == "interrupt":
        sys.exit(_signals.exit_code())  # it was about to end


def _more(study: Study) -> str:
    """A time budget that leaves some time."""
    from raysearch.study import more_time, time_spent

    assert study.config.budget.seconds is not None
    return duration(more_time(study.config.budget.seconds, time_spent(study)))


def _values(by_class: dict[str, float]) -> str:
    """The values of a loss threshold: one number where all classes have the same."""
    if len(set(by_class.values())) == 1:
        return f"{next(iter(by_class.values())):.4f}"
    return " ".join(f"{label}={value:.4f}" for label, value in by_class.items())
