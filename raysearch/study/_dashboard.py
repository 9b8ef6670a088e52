"""optuna-dashboard on a study's ledger: it reads what the search writes, so it is live, and it can write nothing."""

from __future__ import annotations

import secrets
import socket
import socketserver
from collections.abc import Callable
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from raysearch.errors import StudyError, UserError
from raysearch.study._journal import quiet_optuna, read_storage
from raysearch.study._read_only_web import is_loopback, names_of, read_only
from raysearch.study._records import refuse_lost
from raysearch.study._study import Study


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    allow_reuse_address = True


class _ServerSix(_Server):
    address_family = socket.AF_INET6


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        del format, args


def serve(study: Study, *, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serves until interrupted. Whoever can reach `host` from elsewhere needs the token that is in the address.

    Raises:
        UserError: optuna-dashboard is not installed, or there is no listening on host and port.
        StudyError: the study has not begun.
    """
    try:
        import optuna_dashboard
    except ImportError:
        raise UserError(
            "the dashboard needs optuna-dashboard, which is not installed: pip install 'optuna-dashboard>=0.21'"
        ) from None
    quiet_optuna()
    storage = read_storage(study.ledger, study.journal)
    if not storage.get_all_studies():
        refuse_lost(study)
        raise StudyError(f"study '{study.name}' has not begun: 'raysearch resume {study.typed}' begins it")
    token = None if is_loopback(host) else secrets.token_urlsafe(16)
    application = read_only(optuna_dashboard.wsgi(storage), hosts=names_of(host), token=token)
    try:
        server = make_server(
            host, port, application, server_class=_ServerSix if ":" in host else _Server, handler_class=_Quiet
        )
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"--host {host} --port {port} cannot be listened on ({reason}); choose others") from None
    with server:
        shown = f"[{host}]" if ":" in host else host or socket.gethostname()
        query = "" if token is None else f"?token={token}"
        say(f"http://{shown}:{server.server_port}/dashboard{query}  (read-only; Ctrl-C ends it)")
        server.serve_forever()
