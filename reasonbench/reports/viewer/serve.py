"""The viewer over HTTP, for this machine only: what is asked for is read from the runs then.

Only the page and numbered parts are served: no request names a file. Answers go to pages of this
server alone: another site that a browser has open can neither reach it under a name of its own
(the Host header is checked) nor load its parts as scripts (Sec-Fetch-Site, and
Cross-Origin-Resource-Policy).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from reasonbench.errors import UsageError
from reasonbench.reports.page import as_json
from reasonbench.reports.viewer import tally
from reasonbench.reports.viewer.book import Book, header
from reasonbench.reports.viewer.records import (
    PROBLEM,
    Record,
    problem_record,
    unit_records,
)
from reasonbench.reports.viewer.script import html, index_file, listed, record_text, shard_file
from reasonbench.runs import RunStore

HOST = "127.0.0.1"
PORT = 8760

CHUNK = 10
"""Problems in a part of the list: few, because their samples are counted while the page waits."""
_SHARDS = 4096
"""Shard numbers of a problem: its own, then one for each source."""

_DATA = re.compile(r"/data/(index|shard)-(0|[1-9][0-9]{0,14})\.js")
_IDLE_SECONDS = 30


class Server(ThreadingHTTPServer):
    """Serves one viewer until `shutdown`.

    Attributes:
        address: of the page.
    """

    daemon_threads = True
    # a port that another program listens on is not shared with it
    allow_reuse_port = False

    def __init__(self, book: Book, *, title: str, port: int = PORT) -> None:
        """Listen on 127.0.0.1.

        Args:
            port: 0 is any that is free.

        Raises:
            UsageError: the port is taken; jinja2 is not installed.
        """
        self.book = book
        chunks = -(-len(book.problems) // CHUNK)
        self.page, self.policy = html(title, header(book, chunks=chunks))
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise UsageError(
                f"cannot listen on {HOST}:{port} ({why}): choose another --port, or 0 for any."
            ) from None
        self.hosts = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}
        self.address = f"http://{HOST}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A page that went away while it was answered is no error."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def serve(book: Book, *, title: str, port: int = PORT) -> Server:
    """A server that listens; `serve_forever` answers. See `Server`."""
    return Server(book, title=title, port=port)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version = "reasonbench"
    sys_version = ""
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        """Answer with the page or a part, or refuse."""
        if self.headers.get("Host") not in self.server.hosts:
            self._say(HTTPStatus.MISDIRECTED_REQUEST, "this server is called 127.0.0.1\n")
            return
        path = self.path.split("?", 1)[0]
        site = self.headers.get("Sec-Fetch-Site", "none")
        if path == "/":
            self._say(HTTPStatus.OK, self.server.page, "text/html")
            return
        if site not in ("same-origin", "none"):
            self._say(HTTPStatus.FORBIDDEN, "only for the viewer's own page\n")
            return
        found = _DATA.fullmatch(path)
        try:
            text = None if found is None else part(self.server.book, found[1], int(found[2]))
        except UsageError as error:  # the run is gone, or broken
            self._say(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n")
            return
        if text is None:
            self._say(HTTPStatus.NOT_FOUND, "there is no such part\n")
        else:
            self._say(HTTPStatus.OK, text, "text/javascript")

    do_HEAD = do_GET  # noqa: N815 - BaseHTTPRequestHandler looks for this name

    def _say(self, status: HTTPStatus, text: str, kind: str = "text/plain") -> None:
        body = text.encode("utf-8", "replace")
        self.send_response(status)
        for name, value in (
            ("Content-Type", f"{kind}; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Content-Security-Policy", f"{self.server.policy}; frame-ancestors 'none'"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cache-Control", "no-store"),
        ):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing below the command line prints."""


def part(book: Book, kind: str, number: int) -> str | None:
    """A part of the list, or a shard; None where there is none.

    Args:
        kind: "index" or "shard".
    """
    if kind == "index":
        keys = book.problems[number * CHUNK : (number + 1) * CHUNK]
        if not keys:
            return None
        with book.stores() as stores:
            rows = [_row(book, stores, number * CHUNK + place) for place in range(len(keys))]
        return index_file(number, number * CHUNK, rows)
    at, slot = divmod(number, _SHARDS)
    if at >= len(book.problems) or slot > len(book.sources):
        return None
    return shard_file(number, map(record_text, _records(book, at, slot + PROBLEM)))


def _row(book: Book, stores: Sequence[RunStore], number: int) -> str:
    """The list's row of one problem."""
    key = book.problems[number]
    problem = next(filter(None, (store.problem(*key) for store in stores)))
    tallies = []
    for place, source in book.drawn_for(key.benchmark):
        samples = stores[source.run].of_problem(*key, *source[1:], text=True, scores=False)
        if samples:
            shard = number * _SHARDS + place - PROBLEM
            known = book.ends_known(source, key.benchmark)
            found = tally.tally(samples, ends_known=known)
            tallies.append(tally.as_row(place, (shard, shard), found))
    return as_json(listed(problem, number * _SHARDS, tallies))


def _records(book: Book, number: int, place: int) -> Iterator[Record]:
    """What a shard holds: of one problem its text, or what one source drew for it."""
    key = book.problems[number]
    with book.stores() as stores:
        if place == PROBLEM:
            problem = next(filter(None, (store.problem(*key) for store in stores)))
            yield problem_record(number, problem)
            return
        source = book.sources[place]
        store = stores[source.run]
        where = (*key, *source[1:])
        samples = store.of_problem(*where, text=True)
        letters = tally.tally(samples).letters
        known = book.ends_known(source, key.benchmark)
        yield from unit_records(number, place, store, where, samples, letters, ends_known=known)
