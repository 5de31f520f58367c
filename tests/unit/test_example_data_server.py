"""The local server of the examples, as a process of its own."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples.data_server import address, answer, make_server

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    command = [sys.executable, "-m", "examples.data_server", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


def get(base_url: str, path: str) -> httpx.Response:
    return httpx.get(f"{base_url}{path}", trust_env=False, timeout=20)


@pytest.mark.parametrize(
    ("path", "count", "fields"),
    [
        ("/tickets", 12, {"id", "customer", "company", "subject", "body", "team", "plan"}),
        ("/tickets?team=billing", 3, {"id", "team"}),
        ("/tickets?team=nobody", 0, set()),
        ("/on-call", 3, {"team", "onCall", "phone", "until"}),
        ("/shops/a/prices", 10, {"sku", "product", "price", "stock"}),
        ("/shops/b/prices", 10, {"article", "unitPrice", "available"}),
    ],
)
def test_lists_are_served(base_url: str, path: str, count: int, fields: set[str]) -> None:
    response = get(base_url, path)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    records = response.json()
    assert len(records) == count
    assert all(fields <= set(record) for record in records)


def test_the_person_on_call_of_a_team_is_one_object(base_url: str) -> None:
    person = get(base_url, "/on-call?team=billing").json()
    assert person["onCall"] == "Pieter de Vries"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 404),
        ("/on-call?team=nobody", 404),
        ("/tickets?delay=soon", 400),
        ("/tickets?delay=-1", 400),
        ("/tickets?delay=nan", 400),
        ("/tickets?delay=1e9", 400),
    ],
)
def test_what_cannot_be_served_is_said(base_url: str, path: str, status: int) -> None:
    response = get(base_url, path)
    assert response.status_code == status
    assert response.json()["error"]


def put(base_url: str, **options: Any) -> httpx.Response:
    return httpx.put(f"{base_url}/tickets/urgency", trust_env=False, timeout=20, **options)


def test_urgencies_come_back_on_their_tickets_and_are_not_kept(base_url: str) -> None:
    body = {"ids": ["T-1042", "T-1041"], "urgencies": ["normal", "urgent"]}
    tickets = put(base_url, json=body).json()
    assert [(t["id"], t["urgency"]) for t in tickets] == [
        ("T-1041", "urgent"),
        ("T-1042", "normal"),
    ]
    assert "urgency" not in get(base_url, "/tickets").json()[0]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"ids": ["T-1041"], "urgencies": []}', 422),
        (b"[]", 422),
        (b'{"ids": 1, "urgencies": 2}', 400),
        (b'{"ids"', 400),
    ],
)
def test_a_wrong_body_is_refused(base_url: str, body: bytes, status: int) -> None:
    assert put(base_url, content=body).status_code == status


def test_an_answer_can_be_delayed() -> None:
    begun = time.monotonic()
    answer("GET", "/tickets?delay=0.2")
    assert time.monotonic() - begun >= 0.2


def test_the_first_line_is_the_address_and_that_is_loopback(base_url: str) -> None:
    url = httpx.URL(base_url)
    assert (url.scheme, url.host) == ("http", "127.0.0.1")
    assert url.port


def test_every_ticket_has_a_team_that_is_on_call(base_url: str) -> None:
    teams = {person["team"] for person in get(base_url, "/on-call").json()}
    assert {ticket["team"] for ticket in get(base_url, "/tickets").json()} == teams


def test_a_server_can_be_made_in_process() -> None:
    with make_server(0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            assert get(address(server), "/on-call").status_code == 200
        finally:
            server.shutdown()
            thread.join()
