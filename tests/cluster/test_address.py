"""``--address``, where there is nothing to join: one line, at once."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator

import pytest

from raysearch.errors import ResourceError
from raysearch.study import Cluster, parse_address
from raysearch.study._probe import probe


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Bound, so that nobody else takes it, and not listened to."""
    with socket.socket() as holder:
        holder.bind(("", 0))
        yield holder.getsockname()[1]


@pytest.fixture
def web_server() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_nothing_listens(closed_port: int) -> None:
    with pytest.raises(
        ResourceError, match=rf"--address 127.0.0.1:{closed_port} \(.*refused\): start one with"
    ) as info:
        probe(f"127.0.0.1:{closed_port}")
    assert "\n" not in str(info.value)


def test_something_else_listens(web_server: int) -> None:
    with pytest.raises(ResourceError, match="no Ray cluster answers at --address"):
        probe(f"127.0.0.1:{web_server}")


def test_an_unknown_host_is_found_out_before_anything_starts() -> None:
    with pytest.raises(ResourceError, match=r"no Ray cluster answers at --address head\.invalid:6379"):
        Cluster("head.invalid:6379").machine()


def test_ray_client_addresses_are_refused_with_the_line_to_type() -> None:
    with pytest.raises(
        ResourceError, match=r"'ray job submit --address http://10\.0\.0\.5:8265 -- raysearch tune \.\.\.'"
    ):
        parse_address("ray://10.0.0.5:10001")


@pytest.mark.parametrize("address", ["10.0.0.5", ":6379", "10.0.0.5:ray", ""])
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(ResourceError, match="expected 'auto' or HOST:PORT, such as"):
        parse_address(address)


@pytest.mark.parametrize("address", [None, "auto", "10.0.0.5:6379"])
def test_addresses_that_may_answer_pass(address: str | None) -> None:
    assert parse_address(address) == address
