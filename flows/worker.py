"""Starts a worker: `python -m flows.worker`."""

import logging
import os
import sys
from importlib import import_module

from config import load_settings
from core.errors import ConfigError
from flows.prefect_settings import client_environment
from supervision.parent import watch_parent


def main() -> int:
    """Run a worker until SIGTERM or SIGINT; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for library in ("httpx", "httpcore", "alembic", "openai"):
        logging.getLogger(library).setLevel(logging.WARNING)  # they log addresses with their query
    try:
        settings = load_settings()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    watch_parent()
    os.environ.update(client_environment(settings))
    # By name, since Prefect reads its environment while it is imported.
    return int(import_module("flows.worker_process").run(settings))


if __name__ == "__main__":
    sys.exit(main())
