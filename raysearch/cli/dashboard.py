"""``raysearch dashboard``: optuna-dashboard on what the study has written, read-only."""

from __future__ import annotations

import click

from raysearch.cli._options import study_argument


@click.command()
@study_argument
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
def dashboard(study: str | None, port: int, host: str) -> None:
    """Show a study live in the browser, read-only, on loopback only unless --host says otherwise (then with a token).

    \b
    raysearch dashboard
    raysearch dashboard minmax_entropy-1 --port 9000
    """
    from raysearch.study import open_study
    from raysearch.study._dashboard import serve

    serve(open_study(study), host=host, port=port, say=click.echo)
