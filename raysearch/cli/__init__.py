"""The command line: a table of commands, each imported only when it is called."""

from __future__ import annotations

import importlib
import os
import re
import sys
import warnings
from typing import Any

import click

from raysearch import __version__, _signals
from raysearch._caches import keep_compiled_code
from raysearch._cgroup import keep_to_quota

COMMANDS: dict[str, tuple[str, str]] = {
    "methods": ("raysearch.cli.methods:methods", "List the methods that can be searched."),
    "spaces": ("raysearch.cli.spaces:spaces", "Show a method's search space, with the source of every value."),
    "data": ("raysearch.cli.data:data", "Check a data source before training on it."),
    "plan": ("raysearch.cli.plan:plan", "Say what a search would run, whether it can, and what it would take."),
    "tune": ("raysearch.cli.tune:tune", "Search a method's hyper-parameters and thresholds."),
    "resume": ("raysearch.cli.resume:resume", "Go on with a study that was stopped, killed or is to be extended."),
    "stop": ("raysearch.cli.stop:stop", "Stop a running study; it can be resumed."),
    "studies": ("raysearch.cli.studies:studies", "List the studies in the studies folder."),
    "status": ("raysearch.cli.status:status", "Show a study's trials and its best one."),
    "rethreshold": (
        "raysearch.cli.rethreshold:rethreshold",
        "Solve a study's thresholds again by any metric, and rank it.",
    ),
    "export": ("raysearch.cli.export:export", "Write the best model and its thresholds to a folder that runs."),
    "verify": ("raysearch.cli.verify:verify", "Score an exported model again and compare."),
    "evaluate": ("raysearch.cli.evaluate:evaluate", "Score an exported model on data of another domain."),
    "predict": ("raysearch.cli.predict:predict", "Predict masks of new images with an exported model."),
    "dashboard": ("raysearch.cli.dashboard:dashboard", "Show a study live in the browser."),
}
"""Name to (where it is, one line of help)."""


class LazyGroup(click.Group):
    """Lists commands from the table without importing them, so that ``--help`` answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[Any, Any, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            from raysearch.errors import UserError, nearest

            raise UserError(f"unknown command '{args[0]}': {nearest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(
    cls=LazyGroup,
    # click would take escape codes out of names of files; the streams show them
    context_settings={"help_option_names": ["-h", "--help"], "color": True},
)
@click.version_option(__version__, prog_name="raysearch")
def app() -> None:
    """Search hyper-parameters and thresholds of weakly and semi-supervised localization methods.

    \b
    raysearch tune --method minmax_entropy      search on the built-in phantom
    raysearch status                            look at it from another shell
    raysearch export --out model                a folder that predicts masks
    """


def main(argv: list[str] | None = None) -> None:
    """Runs a command and ends the process: 0 done, 1 something failed, 2 the input was wrong, 128 + the number of a
    signal that stopped it (Ctrl-C: 130)."""
    _signals.catch()
    keep_to_quota()
    keep_compiled_code()
    from raysearch.cli._streams import guarded, unwritten

    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # those of libraries are not about anything that the user did
    with guarded() as out:
        code = _run(argv)
        reason = unwritten(out)
        if reason:
            code = _fail(reason, code or 1)
    sys.exit(code)


def _run(argv: list[str] | None) -> int:
    from raysearch.errors import RaysearchError

    try:
        # last: --method package.module:Class finds the user's own code, nothing is shadowed
        sys.path.append(os.getcwd())
    except OSError as error:
        return _fail(f"the working folder cannot be used ({error.strerror}); change to one that is there", 2)
    try:
        code = app.main(args=argv, prog_name="raysearch", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "raysearch"
        return _fail(f"{error.format_message().rstrip('.')} ('{command} --help' shows what it takes)", 2)
    except click.ClickException as error:
        return _fail(error.format_message(), 2)
    except RaysearchError as error:
        return _fail(str(error), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _fail(_signals.farewell(), _signals.exit_code())
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    else:
        return code if isinstance(code, int) else 0
    finally:
        _signals.ended()
    return 0


def _fail(message: str, code: int) -> int:
    """Says in one line why a command ends with a code."""
    print("raysearch:", re.sub(r"\s*\n\s*", " ", message.strip()), file=sys.stderr)
    return code
