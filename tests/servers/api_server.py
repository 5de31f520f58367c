"""The API as it is served: a real server in a thread of the test's process, on a free port."""

import contextlib
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn

from api_service import create_app
from config import Settings

START_SECONDS = 20.0
TABLES = (
    "workflows",
    "workflow_versions",
    "workflow_executions",
    "execution_logs",
    "cauce_node_runs",
    "cauce_events",
    "cauce_payloads",
)

GREETING: dict[str, Any] = {
    "nodes": [
        {"id": "start", "type": "trigger", "config": {}},
        {"id": "name", "type": "manualInput", "config": {"inputVarValue": "Ada"}},
        {"id": "end", "type": "output", "config": {}},
    ],
    "connections": [
        {"fromNodeId": "start", "toNodeId": "name"},
        {"fromNodeId": "name", "toNodeId": "end"},
    ],
}


@dataclass(frozen=True)
class ApiServer:
    """A running API and a client for it."""

    settings: Settings
    client: httpx.Client
    port: int

    def save(self, document: Any = None, **fields: Any) -> str:
        """Store a workflow and return its id."""
        body = {"name": "Greeting", "data": document or GREETING, **fields}
        answer = self.client.post("/api/workflows", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def execute(self, workflow_id: str, **fields: Any) -> str:
        """Start an execution and return its id."""
        body = {"workflowId": workflow_id, **fields}
        answer = self.client.post("/api/workflows/execute", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["executionId"])

    def poll(self, execution_id: str) -> dict[str, Any]:
        """Return what a front end sees of an execution."""
        answer = self.client.get(f"/api/executions/{execution_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement on the SQLite file, as another application would."""
        path = self.settings.database_path or self.settings.data_dir / "cauce.db"
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def rows(self) -> dict[str, int]:
        """Count the rows of every table."""
        return {name: self.sql(f"SELECT count(*) FROM {name}")[0][0] for name in TABLES}

    def raw(self, request: bytes) -> bytes:
        """Send bytes and return everything that comes until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(request)
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while chunk := connection.recv(65536):
                    answer += chunk
        return answer


@contextmanager
def api_server(settings: Settings) -> Iterator[ApiServer]:
    """Serve the API for the time of a `with` block."""
    config = uvicorn.Config(create_app(settings), port=0, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="api")
    thread.start()
    try:
        deadline = time.monotonic() + START_SECONDS
        while not server.started:
            assert thread.is_alive(), "the API did not start"
            assert time.monotonic() < deadline, "the API did not start in time"
            time.sleep(0.01)  # another thread's start is polled
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            yield ApiServer(settings, client, port)
    finally:
        server.should_exit = True
        thread.join(20)
