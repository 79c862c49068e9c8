"""Passes log requests on to ingest, for a site whose proxy does not.

Ingest must have this site in --trusted-proxies, or all visitors come from one address. It checks origins and CSRF
tokens itself. Nothing is sent twice: what became of an activity whose answer is lost only its sender may find out,
with the same id and date.
"""

from __future__ import annotations

import select
from collections import deque
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Iterator

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from . import configuration
from .configuration import Ingest

BODY_BYTES_MAX = 1024 * 1024
CONNECTIONS_MAX = 8
"""Kept open; more are opened when more requests come at once."""
RETRY_SECONDS = "2"

FORWARDED = (
    "Accept",
    "Access-Control-Request-Headers",
    "Access-Control-Request-Method",
    "Authorization",
    "Content-Encoding",
    "Content-Type",
    "Cookie",
    "DNT",
    "If-Modified-Since",
    "If-None-Match",
    "Origin",
    "Referer",
    "Sec-Fetch-Site",
    "Sec-GPC",
    "User-Agent",
    "X-CSRFToken",
    "X-Djaffar-Debug",
)
"""Of the visitor's request. No other: a header that ingest believes from proxies must not be the visitor's writing."""
OF_THE_CONNECTION = frozenset(
    ("connection", "content-length", "date", "keep-alive", "server", "set-cookie", "transfer-encoding", "upgrade")
)
"""Headers of an answer that are not passed on as they are."""

_idle: deque[tuple[Ingest, HTTPConnection]] = deque(maxlen=CONNECTIONS_MAX)


@csrf_exempt
def relay(request: HttpRequest, path: str) -> HttpResponse:
    body = request.read(BODY_BYTES_MAX + 1)
    if len(body) > BODY_BYTES_MAX:
        return JsonResponse({"detail": "The request body is too large."}, status=413)
    if len(body) < int(request.META.get("CONTENT_LENGTH") or 0):
        return JsonResponse({"detail": "The request body is broken."}, status=400)
    ingest = configuration.ingest()
    target = f"{ingest.base_path}/{path}"
    if request.META.get("QUERY_STRING"):
        target = f"{target}?{request.META['QUERY_STRING']}"
    connection = _connection(ingest)
    try:
        connection.request(request.method or "GET", target, body or None, dict(_headers(request, len(body))))
        answer = connection.getresponse()
        response = _response(answer, answer.read())
    except (OSError, HTTPException):
        connection.close()
        response = JsonResponse({"detail": "The activity log cannot be reached now. Try again."}, status=503)
        response.headers["Retry-After"] = RETRY_SECONDS
        return response
    if not answer.will_close:
        _idle.append((ingest, connection))
    return response


relay.login_required = False  # type: ignore[attr-defined]


def _connection(ingest: Ingest) -> HTTPConnection:
    while True:
        try:
            of, connection = _idle.pop()
        except IndexError:
            break
        # An idle connection has something to read only when the other side has closed it.
        if of == ingest and connection.sock is not None and not _readable(connection):
            return connection
        connection.close()
    kind = HTTPSConnection if ingest.https else HTTPConnection
    return kind(ingest.host, ingest.port, timeout=ingest.timeout)


def _readable(connection: HTTPConnection) -> bool:
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


def _headers(request: HttpRequest, length: int) -> Iterator[tuple[str, str]]:
    for name in FORWARDED:
        value = request.headers.get(name)
        if value:
            yield name, value
    if request.method == "POST":
        yield "Content-Length", str(length)
    host = request.get_host()
    yield "Host", host
    yield "X-Forwarded-Host", host
    yield "X-Forwarded-Proto", request.scheme or "http"
    hops = [request.headers.get("X-Forwarded-For"), request.META.get("REMOTE_ADDR")]
    yield "X-Forwarded-For", ", ".join(hop for hop in hops if hop)


def _response(answer: HTTPResponse, body: bytes) -> HttpResponse:
    response = HttpResponse(body, status=answer.status)
    del response.headers["Content-Type"]
    for name, value in answer.getheaders():
        if name.lower() not in OF_THE_CONNECTION:
            response.headers[name] = value
    for cookie in answer.msg.get_all("Set-Cookie", []):
        response.cookies.load(cookie)
    return response
