"""``raysearch plan``: what would run, whether it can, what it would take."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from raysearch.cli._options import json_option, print_json, request_options


@click.command()
@request_options
@click.option("--study", "name", metavar="NAME", help="Name of the study.")
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
                "split": {"train": len(split.train), "tuning": len(split.tuning), "test": len(split.test)},
                "searched": list(prepared.space.searched),
                "budget": dataclasses.asdict(config.budget),
                "resources": dataclasses.asdict(config.resources),
                "estimate": dataclasses.asdict(expected),
            }
        )
        return
    gib = 1 << 30
    use = config.resources
    click.echo(f"{config.method}, {config.preset} preset ({prepared.space.file})")
    click.echo(
        f"data      {config.data}: train {len(split.train)}, tuning {len(split.tuning)}, test {len(split.test)} images"
    )
    click.echo(
        f"searched  {', '.join(prepared.space.searched) or 'nothing'};"
        f" decision thresholds: {config.decision_thresholds}"
    )
    click.echo(
        f"budget    {config.budget.samples} trials of {config.budget.epochs} epochs,"
        f" {config.scheduler}, {config.sampler}"
    )
    click.echo(
        f"runs on   {use.slots} slot{'s' if use.slots > 1 else ''}"
        f" of {use.workers} worker{'s' if use.workers > 1 else ''}"
        f" with {use.cpus} CPU{'s' if use.cpus > 1 else ''} and {use.gpus:g} GPUs each: it can be scheduled here"
    )
    click.echo(
        f"estimate  {format_seconds(expected.trial_seconds)} a trial, {format_seconds(expected.total_seconds)} in all"
        f" (with fifo; asha takes less), {expected.gpu_hours:.2f} GPU-hours, {expected.memory / gib:.1f} GiB of memory,"
        f" {expected.disk / 2**20:.0f} MiB of disk"
    )
    click.echo(
        f"          from a probe of {expected.probe_seconds:.1f} s on the {expected.device} with the default settings"
    )
