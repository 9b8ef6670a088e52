"""Puts a web application where it can only be looked at, and only by those who were shown where it is."""

from __future__ import annotations

import hmac
import ipaddress
import json
import socket
from collections.abc import Callable, Collection, Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlencode

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

COOKIE = "raysearch_token"

HEADERS = [
    ("X-Frame-Options", "DENY"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),  # the token is in the first address
]


def read_only(application: Application, *, hosts: Collection[str], token: str | None) -> Application:
    """The application for GET and HEAD alone.

    Args:
        hosts: names by which it may be asked for, beside addresses: a page that was loaded from another name, and had
            that name pointed here (DNS rebinding), is refused.
        token: what the first address has to hold (``?token=...``; a cookie remembers it); None asks for none.
    """

    def guarded(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, [*headers, *HEADERS], *rest)

        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _refuse(
                start,
                "405 Method Not Allowed",
                "this page is read-only: a study is written by its search",
                [("Allow", "GET, HEAD")],
            )
        if not known_host(environ.get("HTTP_HOST", ""), hosts):
            return _refuse(
                start,
                "421 Misdirected Request",
                f"asked for by another name; expected {', '.join(sorted(hosts))} or an address",
            )
        if token is not None:
            query = parse_qs(environ.get("QUERY_STRING", ""))
            if _equal(query.pop("token", [""])[-1], token):
                rest = urlencode(query, doseq=True)
                place = (environ.get("PATH_INFO") or "/") + (f"?{rest}" if rest else "")
                cookie = f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict"
                start(
                    "303 See Other",
                    [("Location", f"/{place.lstrip('/')}"), ("Set-Cookie", cookie), ("Content-Length", "0")],
                )
                return []
            if not _equal(_cookie(environ.get("HTTP_COOKIE", "")), token):
                return _refuse(
                    start, "403 Forbidden", "open the address that 'raysearch dashboard' printed: it holds a token"
                )
        return application(environ, start)

    return guarded


def known_host(header: str, names: Collection[str]) -> bool:
    """Whether a Host header names an address, or one of the names; the port may be that of a tunnel.

    >>> [known_host(h, ["localhost"]) for h in ("localhost:8080", "127.0.0.1", "[::1]:80", "evil.org:8080", "")]
    [True, True, True, False, False]
    """
    name = header.rpartition(":")[0] if header.rpartition(":")[2].isdigit() else header
    return name.lower() in {each.lower() for each in names} or is_address(name.strip("[]"))


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether nothing but this machine can reach what listens on `host`.

    >>> [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "::", "")]
    [True, True, True, False, False, False]
    """
    if is_address(host):
        return ipaddress.ip_address(host).is_loopback
    return host.lower() == "localhost"


def names_of(host: str) -> set[str]:
    """Names under which what listens on `host` may be asked for."""
    return (
        {"localhost"} if is_loopback(host) else {"localhost", socket.gethostname(), socket.getfqdn()} | ({host} - {""})
    )


def _equal(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _refuse(
    start: Callable[..., Any], status: str, reason: str, headers: Collection[tuple[str, str]] = ()
) -> list[bytes]:
    body = json.dumps({"reason": reason}).encode()
    start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers])
    return [body]
