"""``raysearch plan``: what would run, whether it can, what it would take."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from raysearch._text import counted
from raysearch.cli._options import TEXT, json_option, print_json, request_options

if TYPE_CHECKING:
    from raysearch.study import Prepared


@click.command()
@request_options
@click.option("--study", "name", type=TEXT, metavar="NAME", help="Name of the study.")
@json_option
def plan(name: str | None, address: str | None, as_json: bool, **request: Any) -> None:
    """Say what a search would run, whether it can ever be scheduled, and estimate time, GPU-hours, memory and disk.

    \b
    raysearch plan --method minmax_entropy
    raysearch plan --method minmax_entropy --workers-per-trial 4 --gpus-per-worker 1
    """
    from raysearch.cli._search import prepare_request, show_notes
    from raysearch.study import Cluster, parse_address

    prepared = prepare_request({"name": name, **request}, Cluster(parse_address(address)))
    from raysearch.display import format_seconds
    from raysearch.study._estimate import estimate

    config, split = prepared.config, prepared.split
    expected = estimate(prepared)
    show_notes(prepared)
    if as_json:
        print_json(
            {
                "method": config.method,
                "preset": config.preset,
                "data": config.data,
                "split": {
                    "train": len(prepared.annotation.train),
                    "tuning": len(split.tuning),
                    "test": len(split.test),
                },
                "labelled": len(prepared.labelling.labelled),
                "annotated": len(prepared.annotation.annotated),
                "searched": list(prepared.space.searched),
                "alternated": list(prepared.space.alternated),
                "solved": list(prepared.space.solved),
                "evidence": config.evidence,
                "budget": dataclasses.asdict(config.budget),
                "resources": dataclasses.asdict(config.resources),
                "estimate": dataclasses.asdict(expected),
            }
        )
        return
    gib = 1 << 30
    use = config.resources
    click.echo(f"{config.method}, {config.preset} preset ({prepared.space.file})")
    train = prepared.annotation
    said = [] if config.labelled is None else [f"{len(prepared.labelling.labelled)} labelled"]
    said += [] if config.annotated is None else [f"{len(train.annotated)} annotated"]
    seen = f" ({', '.join(said)})" if said else ""
    click.echo(
        f"data      {config.data}: train {len(train.train)}{seen}, tuning {len(split.tuning)},"
        f" test {counted(len(split.test), 'image')}"
    )
    for number, line in enumerate(_searched(prepared)):
        click.echo(f"{'' if number else 'searched':<9} {line}")
    click.echo(
        f"budget    {counted(config.budget.samples, 'trial')} of {counted(config.budget.epochs, 'epoch')},"
        f" {config.scheduler}, {config.sampler}"
    )
    click.echo(
        f"runs on   {counted(use.slots, 'slot')} of {counted(use.workers, 'worker')} with {counted(use.cpus, 'CPU')}"
        f" and {counted(use.gpus, 'GPU')} each: it can be scheduled here"
    )
    for number, work in enumerate(expected.shared):
        click.echo(
            f"{'' if number else 'shared':<9} {work.name}: {counted(work.times, 'time')},"
            f" {format_seconds(work.seconds)} each"
        )
    click.echo(
        f"estimate  {format_seconds(expected.trial_seconds)} a trial, {format_seconds(expected.total_seconds)} in all"
        f" (with fifo; asha and hyperband take less), {expected.gpu_hours:.2f} GPU-hours,"
        f" {expected.memory / gib:.1f} GiB of memory, {expected.disk / 2**20:.0f} MiB of disk"
    )
    click.echo(
        f"          from a probe of {expected.probe_seconds:.1f} s on the {expected.device} with the default settings"
    )


def _searched(prepared: Prepared) -> list[str]:
    """Who searches what, one line each; `nothing` where nobody does."""
    config, space = prepared.config, prepared.space
    rounds = f"{config.alternate}, rounds of {counted(config.round_epochs, 'epoch')}"
    thresholds = "a threshold a class" if config.per_class else "one threshold for all classes"
    searchers = {
        f"Optuna ({config.sampler})": space.searched,
        f"the alternating scheduler ({rounds})": space.alternated,
        f"the exact solve ({thresholds})": space.solved,
    }
    return [f"{', '.join(names)} by {searcher}" for searcher, names in searchers.items() if names] or ["nothing"]
