"""A small local server with the data that the example workflows read.

    python -m examples.data_server --port 0

The first line that it prints is its address. It listens on loopback only, and every path takes
`?delay=<seconds>`, so that a workflow's progress can be watched. It keeps nothing.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

DATA = Path(__file__).parent / "data"
HOST = "127.0.0.1"
PORT = 8765
LONGEST_DELAY = 30.0
"""Seconds."""

MOST_BODY = 1024 * 1024
"""Bytes."""

Query = Mapping[str, str]
Route = Callable[[Query, Any], Any]


class Refused(Exception):
    """The request gets this status and sentence."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        self.status = status
        super().__init__(message)


def address(server: ThreadingHTTPServer) -> str:
    """Return the base URL of a server, without a slash at its end."""
    return f"http://{HOST}:{server.server_address[1]}"


def make_server(port: int = PORT) -> ThreadingHTTPServer:
    """Return a server that listens on loopback at `port`, 0 meaning any free one."""
    return ThreadingHTTPServer((HOST, port), DataHandler)


def answer(method: str, target: str, body: bytes = b"") -> tuple[HTTPStatus, Any]:
    """Return the status and the JSON body for a request, after the delay that it asks for."""
    try:
        parts = urlsplit(target)
        route = ROUTES.get((method, parts.path))
        if route is None:
            known = ", ".join(" ".join(names) for names in ROUTES)
            raise Refused(HTTPStatus.NOT_FOUND, f"There is only {known}.")
        query = dict(parse_qsl(parts.query))
        time.sleep(_delay(query))
        return HTTPStatus.OK, route(query, json.loads(body or b"null"))
    except Refused as refused:
        return refused.status, {"error": str(refused)}
    except (ValueError, TypeError):
        return HTTPStatus.BAD_REQUEST, {"error": "The request cannot be read."}


def _delay(query: Query) -> float:
    seconds = float(query.get("delay", "0"))
    if not 0 <= seconds <= LONGEST_DELAY:
        message = f"delay is 0 to {LONGEST_DELAY:g} seconds."
        raise Refused(HTTPStatus.BAD_REQUEST, message)
    return seconds


def _read(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text("utf-8"))


def _file(name: str) -> Route:
    return lambda _query, _body: _read(name)


def _tickets(query: Query, _body: Any) -> Any:
    """Answer with all tickets, or with those of a `team`."""
    team = query.get("team")
    return [ticket for ticket in _read("tickets") if team in (None, ticket["team"])]


def _set_urgency(_query: Query, body: Any) -> Any:
    """Take `{"ids": […], "urgencies": […]}` and answer with those tickets and their urgency."""
    if not isinstance(body, dict) or len(body.get("ids", ())) != len(body.get("urgencies", ())):
        message = "Send ids and urgencies, as many of the one as of the other."
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, message)
    urgencies = dict(zip(body.get("ids", ()), body.get("urgencies", ()), strict=True))
    return [
        {**ticket, "urgency": urgencies[ticket["id"]]}
        for ticket in _read("tickets")
        if ticket["id"] in urgencies
    ]


def _on_call(query: Query, _body: Any) -> Any:
    """Answer with the roster of all teams, or with the one person of a `team`."""
    roster = _read("on_call")
    if "team" not in query:
        return roster
    person = next((entry for entry in roster if entry["team"] == query["team"]), None)
    if person is None:
        raise Refused(HTTPStatus.NOT_FOUND, "There is no such team.")
    return person


ROUTES: Mapping[tuple[str, str], Route] = {
    ("GET", "/tickets"): _tickets,
    ("PUT", "/tickets/urgency"): _set_urgency,
    ("GET", "/on-call"): _on_call,
    ("GET", "/shops/a/prices"): _file("shop_a_prices"),
    ("GET", "/shops/b/prices"): _file("shop_b_prices"),
}


class DataHandler(BaseHTTPRequestHandler):
    """Speaks JSON."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer one request without a body."""
        self._reply(b"")

    def do_PUT(self) -> None:
        """Answer one request with a body of a known length."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit() and int(length) <= MOST_BODY):
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        self._reply(self.rfile.read(int(length)))

    def _reply(self, sent: bytes) -> None:
        status, body = answer(self.command, self.path, sent)
        content = json.dumps(body, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (as in the base class)
        """Stay quiet: what a workflow did is in its own log."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--port", type=int, default=PORT, help="0 takes any free port")
    with make_server(parser.parse_args(arguments).port) as server:
        sys.stdout.write(f"{address(server)}\n")
        sys.stdout.flush()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
