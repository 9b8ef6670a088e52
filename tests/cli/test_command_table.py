"""The command line is frozen: a new command or option has to change this file."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from cli.conftest import Call
from raysearch.cli import COMMANDS, app

SEARCH = frozenset(
    [
        "--address",
        "--alternate",
        "--annotated",
        "--cpus-per-worker",
        "--data",
        "--decision-thresholds",
        "--epochs",
        "--fix",
        "--gpus-per-worker",
        "--keep-checkpoints",
        "--keep-evidence",
        "--labelled",
        "--loss-thresholds",
        "--method",
        "--metric",
        "--per-class",
        "--preset",
        "--round-epochs",
        "--sampler",
        "--samples",
        "--scheduler",
        "--seed",
        "--select",
        "--set",
        "--slack-weight",
        "--slots",
        "--space",
        "--split",
        "--split-seed",
        "--step-time",
        "--study",
        "--time",
        "--trial-time",
        "--unannotated",
        "--workers-per-trial",
    ]
)

TABLE: dict[str, tuple[tuple[str, ...], frozenset[str]]] = {
    "methods": ((), frozenset({"--json"})),
    "spaces": (("method",), frozenset({"--json", "--preset", "--space"})),
    "data check": (("source",), frozenset({"--json", "--pictures"})),
    "plan": ((), SEARCH | {"--json"}),
    "tune": ((), SEARCH),
    "resume": (
        ("study",),
        frozenset(
            {
                "--address",
                "--cpus-per-worker",
                "--gpus-per-worker",
                "--samples",
                "--slots",
                "--step-time",
                "--time",
                "--trial-time",
                "--workers-per-trial",
            }
        ),
    ),
    "stop": (("study",), frozenset({"--wait"})),
    "studies": ((), frozenset({"--json"})),
    "status": (("study",), frozenset({"--json", "--mean-over"})),
    "rethreshold": (("study",), frozenset({"--json", "--metric", "--per-class", "--trial"})),
    "export": (
        ("study",),
        frozenset({"--baseline", "--fix", "--json", "--out", "--reference", "--thresholds-on", "--trial"}),
    ),
    "verify": (("folder",), frozenset({"--data", "--json"})),
    "evaluate": (("folder",), frozenset({"--baseline", "--data", "--json", "--part", "--reference"})),
    "predict": (("folder", "images"), frozenset({"--bits", "--json", "--out"})),
    "dashboard": (("study",), frozenset({"--host", "--port"})),
}
"""Command to its arguments, in order, and its options."""

HEAVY = ("torch", "ray", "optuna", "numpy", "pandas", "PIL", "yaml", "rich")


def commands() -> dict[str, click.Command]:
    """Every command by its full name, groups resolved."""
    found: dict[str, click.Command] = {}
    context = click.Context(app)
    assert isinstance(app, click.Group)
    for name in app.list_commands(context):
        command = app.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found |= {f"{name} {inner}": each for inner, each in command.commands.items()}
        else:
            found[name] = command
    return found


def test_commands_and_options() -> None:
    found = {
        name: (
            tuple(str(p.name) for p in command.params if isinstance(p, click.Argument)),
            frozenset(o for p in command.params if isinstance(p, click.Option) for o in p.opts),
        )
        for name, command in commands().items()
    }
    assert found == TABLE


@pytest.mark.parametrize("name", [*TABLE, "data", ""])
def test_every_command_has_help_with_an_example(call: Call, name: str) -> None:
    shown = call(*name.split(), "--help")
    assert (shown.code, shown.err) == (0, "")
    examples = [line.strip() for line in shown.out.splitlines() if line.startswith("  raysearch ")]
    assert examples, shown.out
    wanted = name.removesuffix(" check")
    assert all(example.startswith(f"raysearch {wanted}".strip()) for example in examples)
    asked = (
        {"--help"} | {o for p in commands()[name].params for o in p.opts if o.startswith("-")}
        if name in TABLE
        else set()
    )
    assert all(option in shown.out for option in asked)


def test_examples_parse() -> None:
    """What the help shows can be typed: parsed by the command itself, without running it."""
    for name, command in commands().items():
        assert command.help is not None
        for line in command.help.splitlines():
            words = line.split("    ")[0].split()
            if words[:1] == ["raysearch"]:
                skipped = 1 + len(name.split())
                assert words[1:skipped] == name.split(), line
                command.make_context(name, words[skipped:])


def test_the_list_of_commands_says_what_each_does() -> None:
    context = click.Context(app)
    assert isinstance(app, click.Group)
    for name, (_, line) in COMMANDS.items():
        command = app.get_command(context, name)
        assert command is not None
        assert command.help is not None
        assert line.endswith(".")
        assert len(line) <= 80


@pytest.mark.parametrize("argv", [(), ("data",)])
def test_a_bare_command_shows_its_help(call: Call, argv: tuple[str, ...]) -> None:
    shown = call(*argv)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out == call(*argv, "--help").out


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from raysearch.cli import main\n"
        "try: main(['--help'])\n"
        f"finally: print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.stdout.startswith("Usage: raysearch")
    assert (ended.returncode, ended.stderr.strip()) == (0, "[]")


def test_requests_that_no_machine_can_run_are_refused_before_torch_is_imported() -> None:
    code = (
        "import sys; from raysearch.cli import main\n"
        "try: main(['tune', '--method', 'cam_avg', '--cpus-per-worker', '9999'])\n"
        "finally: print([name for name in ('torch', 'ray', 'optuna') if name in sys.modules], file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    line, imported = ended.stderr.strip().splitlines()
    assert (ended.returncode, imported) == (2, "[]")
    assert "needs 9999 CPUs" in line


def test_interrupted(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("raysearch.method.method_names", interrupt)
    stopped = call("methods")
    assert (stopped.code, stopped.line) == (130, "raysearch: interrupted")


def test_methods_are_listed_with_their_view(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raysearch.method.method_names", lambda: ["all_ones"])
    assert call("methods").out.split()[:3] == ["all_ones", "single", "none"]
