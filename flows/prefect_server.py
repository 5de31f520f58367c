"""The embedded Prefect server as a process: `python -m flows.prefect_server`.

Up when `GET /api/health` answers; SIGTERM and SIGINT end it with exit code 0. The environment is
laid out here, before uvicorn imports `flows.prefect_app` and Prefect with it by name, so that
a start by hand and a start by the supervisor are the same.
"""

import os
import signal
from types import FrameType

import uvicorn

from config import Settings, get_settings
from flows.prefect_settings import server_environment
from supervision.parent import watch_parent

_SHUTDOWN_SECONDS = 2
"""How long open requests may take to end; Prefect's services need about 1 s more."""

_KEEP_ALIVE_SECONDS = 60
"""Longer than Prefect's client keeps an idle connection, so that none closes under a request."""


class PrefectServer(uvicorn.Server):
    """A uvicorn server that also stops at once while it is still starting.

    uvicorn would finish the start first, and the first start creates the database for 10 s.
    Nothing is lost: SQLite rolls the open migration back, and the next start resumes it.
    """

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note the signal, or leave at once when nothing is being served yet."""
        if not self.started:
            os._exit(0)
        super().handle_exit(sig, frame)


def configuration(settings: Settings) -> uvicorn.Config:
    """Return how uvicorn serves Prefect: on loopback only, saying nothing but warnings."""
    return uvicorn.Config(
        "flows.prefect_app:build",
        factory=True,
        host="127.0.0.1",
        port=settings.prefect_port,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )


def _leave(signum: int, frame: FrameType | None) -> None:
    # uvicorn repeats the signal once it is done: then, as before it begins, this ends the process.
    raise SystemExit(0)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = get_settings()
    environment = server_environment(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    os.environ.update(environment)
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    watch_parent()
    PrefectServer(configuration(settings)).run()


if __name__ == "__main__":
    main()
