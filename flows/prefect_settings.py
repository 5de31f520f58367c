"""The environment of the embedded Prefect server and of every process that talks to Prefect.

Prefect reads its settings while it is imported, so they are handed over as environment variables.
This module imports no Prefect: a supervisor can build them for its children.
"""

from config import Settings

_KEEP_RUNS_SECONDS = 30 * 24 * 3600
"""Prefect's copy of a run is for people to look at; the record itself is in our own database."""

_BATCHED = {"BATCH_SIZE": "200", "READ_BATCH_SIZE": "100", "FLUSH_INTERVAL": "1"}


def prefect_origins(settings: Settings) -> tuple[str, ...]:
    """Return the origins (`http://host:port`) under which a browser may use the server."""
    return tuple(f"http://{host}:{settings.prefect_port}" for host in ("127.0.0.1", "localhost"))


def prefect_api_url(settings: Settings) -> str:
    """Return the API address of Prefect: the user's own server, or else the embedded one."""
    return settings.prefect_api_url or f"{prefect_origins(settings)[0]}/api"


def server_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that the embedded server needs, to lay over the inherited ones.

    The server keeps to `<data_dir>/prefect.db` and `<data_dir>/prefect`, calls no other host,
    and writes task runs and events in batches.
    """
    return {
        **_common(settings),
        "PREFECT_API_URL": f"{prefect_origins(settings)[0]}/api",
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(settings.prefect_port),
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": ",".join(prefect_origins(settings)),
        "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "false",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": _database_url(settings),
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_SERVER_UI_API_URL": f"{prefect_origins(settings)[0]}/api",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": f"{_home(settings)}/ui",
        **_services(settings),
    }


def client_environment(settings: Settings) -> dict[str, str]:
    """Return the variables of a process that runs flows, to lay over the inherited ones.

    A call to a server that is down fails in 1.5 s (httpx knocks three times), a call to one that
    hangs in 10 s. Results are never pickled or stored, and no hidden server is ever started.
    """
    return {
        **_common(settings),
        "PREFECT_API_URL": prefect_api_url(settings),
        "PREFECT_API_REQUEST_TIMEOUT": "10",
        "PREFECT_CLIENT_MAX_RETRIES": _retries(settings),
        "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
        "PREFECT_EVENTS_WORKER_MAX_QUEUE_SIZE": "100000",
        "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
        # Failed nodes and outages are in our own log, in words of our own.
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
        "PREFECT_TASKS_DEFAULT_NO_CACHE": "true",
    }


def _retries(settings: Settings) -> str:
    # Ours is up or down, and down means: go on without it. Another one may answer 503 under load.
    return "2" if settings.prefect_api_url else "0"


def _common(settings: Settings) -> dict[str, str]:
    return {
        "DO_NOT_TRACK": "1",
        "PREFECT_HOME": _home(settings),
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
    }


def _services(settings: Settings) -> dict[str, str]:
    events = str(settings.prefect_event_feed).lower()
    batches = {
        f"{service}_{name}": value
        for service in ("TASK_RUN_RECORDER", "EVENT_PERSISTER")
        for name, value in _BATCHED.items()
    }
    services = {
        **batches,
        "EVENT_PERSISTER_ENABLED": events,
        "TRIGGERS_ENABLED": events,
        "DB_VACUUM_ENABLED": "events,flow_runs",
        "DB_VACUUM_RETENTION_PERIOD": str(_KEEP_RUNS_SECONDS),
    }
    return {f"PREFECT_SERVER_SERVICES_{name}": value for name, value in services.items()}


def _home(settings: Settings) -> str:
    return str(settings.data_dir.resolve() / "prefect")


def _database_url(settings: Settings) -> str:
    return f"sqlite+aiosqlite:///{settings.data_dir.resolve().as_posix()}/prefect.db"
