"""optuna-dashboard on a study's journal: it reads what the search writes, so it is live."""

from __future__ import annotations

import socket
from collections.abc import Callable

from raysearch.errors import StudyError, UserError
from raysearch.search._journal import read_journal
from raysearch.study._study import Study


def serve(study: Study, *, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serves until interrupted.

    Raises:
        UserError: optuna-dashboard is not installed, or the port is taken.
        StudyError: the study has no journal yet.
    """
    try:
        import optuna_dashboard
    except ImportError:
        raise UserError("the dashboard needs optuna-dashboard: pip install 'raysearch[dashboard]'") from None
    if not study.journal.exists():
        raise StudyError(f"study '{study.config.name}' has no trial yet ({study.journal} is missing)")
    port = port or free_port(host)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UserError(f"{host}:{port} cannot be listened on ({error.strerror}); choose another --port") from None
    say(f"http://{host}:{port}/dashboard  (Ctrl-C ends it)")
    optuna_dashboard.run_server(read_journal(study.journal), host=host, port=port)


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
