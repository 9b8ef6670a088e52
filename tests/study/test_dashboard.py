"""The dashboard shows a study and can write nothing, to whoever knows where it is and to nobody else."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from search.toy import toy_study

from raysearch.errors import StudyError, UserError
from raysearch.study import _dashboard
from raysearch.study._book import Book
from raysearch.study._dashboard import serve
from raysearch.study._records import read_records
from raysearch.study._study import Study

Ask = Callable[..., tuple[int, dict[str, str], bytes]]


@contextmanager
def served(study: Study, host: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Ask]]:
    """What `serve` says, and how to ask it for something."""
    servers, said, ready = [], list[str](), threading.Event()
    real = _dashboard.make_server

    def make_server(*args: Any, **options: Any) -> Any:
        servers.append(real(*args, **options))
        return servers[-1]

    def say(text: str) -> None:
        said.append(text)
        ready.set()

    monkeypatch.setattr(_dashboard, "make_server", make_server)
    thread = threading.Thread(target=lambda: serve(study, host=host, port=0, say=say))
    thread.start()
    assert ready.wait(60)

    def ask(path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        to = "::1" if ":" in host else "127.0.0.1"
        connection = http.client.HTTPConnection(to, servers[0].server_port, timeout=60)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(
            method, path, body=b"{}", headers={"Content-Type": "application/json", "Accept-Encoding": "", **named}
        )
        answer = connection.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return found

    try:
        yield said[0], ask
    finally:
        servers[0].shutdown()
        thread.join()


def _has(host: str) -> bool:
    try:
        socket.create_server((host, 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.fixture
def study(tmp_path: Path) -> Study:
    study = toy_study(tmp_path)
    book = Book(study)
    assert book.next() is not None
    book.close(0, "failed", "for a test")
    return study


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_it_shows_and_cannot_write(study: Study, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    if ":" in host and not _has(host):
        pytest.skip("this machine has no IPv6")
    before = {path: path.read_bytes() for path in sorted(study.path.rglob("*")) if path.is_file()}
    with served(study, host, monkeypatch) as (said, ask):
        assert re.fullmatch(rf"http://(\[::1\]|{host}):\d+/dashboard  \(read-only; Ctrl-C ends it\)", said)
        assert ask("/dashboard")[0] == 200
        status, headers, body = ask("/api/studies/0")
        assert (status, headers["X-Frame-Options"]) == (200, "DENY")
        assert [trial["state"] for trial in json.loads(body)["trials"]] == ["Fail"]
        for method, path in (
            ("POST", "/api/studies"), ("POST", "/api/studies/0/rename"), ("DELETE", "/api/studies/0"),
            ("PUT", "/api/studies/0/note"), ("POST", "/api/trials/0/tell"), ("POST", "/api/trials/0/user-attrs"),
            ("PATCH", "/"), ("OPTIONS", "/"),
        ):  # fmt: skip
            status, headers, body = ask(path, method)
            assert (status, headers["Allow"]) == (405, "GET, HEAD")
            assert "read-only" in json.loads(body)["reason"]
        book = Book(study)
        assert book.next() is not None
        while len(json.loads(ask("/api/studies/0")[2])["trials"]) != 2:  # it is live, but for the page's own cache
            time.sleep(0.2)
    changed = {path.name for path, data in before.items() if path.read_bytes() != data}
    assert changed == {"ledger.jsonl", "journal.log"}, "by the search, not by the page"


def test_a_page_of_another_name_gets_nothing(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of somebody else's that was made to point here: the browser takes it for the page's own."""
    with served(study, "127.0.0.1", monkeypatch) as (_, ask):
        for name in ("evil.example:8080", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:1", ""):
            status, _, body = ask("/api/studies/0", Host=name)
            assert status == 421, name
            assert b"trials" not in body
        for name in ("localhost:9", "127.0.0.1", "[::1]:8080", "LOCALHOST"):
            assert ask("/api/studies/0", Host=name)[0] == 200, "through a tunnel, the port is another one"


def test_who_can_reach_it_from_elsewhere_needs_the_token(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(study, "0.0.0.0", monkeypatch) as (said, ask):
        found = re.search(r"/dashboard\?token=([\w-]{20,})  ", said)
        assert found is not None
        token = found[1]
        for path, cookie in (
            ("/dashboard", ""), ("/api/studies/0", ""), ("/api/studies/0?token=", ""),
            ("/api/studies/0?token=guess", ""), ("/api/studies/0", "raysearch_token=guess"),
            ("/api/studies/0", "raysearch_token="), ("/api/studies/0", "=;,"), ("/static/bundle.js", ""),
        ):  # fmt: skip
            status, _, body = ask(path, Cookie=cookie)
            assert status == 403, path
            assert "token" in json.loads(body)["reason"]
        status, headers, _ = ask(f"/api/studies/0?after=0&token={token}")
        assert (status, headers["Location"]) == (303, "/api/studies/0?after=0")
        assert "HttpOnly" in headers["Set-Cookie"]
        assert "SameSite=Strict" in headers["Set-Cookie"]
        cookie = headers["Set-Cookie"].partition(";")[0]
        assert ask("/api/studies/0", Cookie=cookie)[0] == 200
        assert ask("/api/studies/0", "DELETE", Cookie=cookie)[0] == 405
        assert ask("/api/studies/0", Cookie=cookie, Host="evil.example")[0] == 421
        status, headers, _ = ask(f"//evil.example/x?token={token}")
        assert headers["Location"] == "/evil.example/x", "and not another site"
    assert [r.state for r in read_records(study)] == ["failed"]


def test_what_cannot_be_shown(study: Study, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="study 'new' has not begun: 'raysearch resume"):
        serve(toy_study(tmp_path, "new"), host="127.0.0.1", port=0, say=print)
    for host, port in (("256.0.0.1", 0), ("no such host", 0), ("127.0.0.1", 99999)):
        with pytest.raises(UserError, match=rf"--host {re.escape(host)} --port {port} cannot be listened on \(.+\)"):
            serve(study, host=host, port=port, say=print)
    study.ledger.unlink()
    study.journal.unlink()
    with pytest.raises(StudyError, match=r"holds trials, and .* knows none"):
        serve(study, host="127.0.0.1", port=0, say=print)
