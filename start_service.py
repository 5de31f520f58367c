"""Starts and supervises the Prefect server, the API and the workers: `python start_service.py`.

`python start_service.py demo` runs an example on a service of its own, which then goes away.
One Ctrl+C stops everything in order; a second one kills it.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from config import Settings, load_settings
from core.errors import ConfigError
from examples.run_demo import run_demo
from flows.prefect_settings import client_environment, server_environment
from supervision.child import ChildSpec, Timing
from supervision.parent import SUPERVISED
from supervision.ports import await_port
from supervision.process_log import ProcessLog, colour_wanted
from supervision.readiness import Links, announce_when_ready
from supervision.run_folder import RunFolder
from supervision.supervisor import Supervisor, on_stop_signal
from tasks.net_guard import allowed_hosts

ROOT = Path(__file__).resolve().parent

# Of STOP_SECONDS, what is left to the supervisor itself.
_MARGIN_SECONDS = 0.5
# How long children that lost their supervisor may take to go: see supervision.parent.
_LEFTOVER_SECONDS = 12.0
_WORKERS_STOP, _API_STOPS, _PREFECT_STOPS = range(3)

_HELP = """usage: python start_service.py [start | demo]

start   run the service until Ctrl+C (also without a word)
demo    run an example workflow on a service of its own, then remove it
"""


def service_children(settings: Settings, inherited: Mapping[str, str]) -> list[ChildSpec]:
    """Return what to run for `settings`: the Prefect server if one is needed, API, workers.

    `inherited` is the environment that the children get, with their own variables on top.
    """
    env = {**inherited, **_child_environment(inherited)}
    prefect = [_prefect(settings, env)] if needs_prefect_server(settings) else []
    workers = [_worker(settings, env, number) for number in range(1, settings.workers + 1)]
    return [*prefect, _api(settings, env), *workers]


def needs_prefect_server(settings: Settings) -> bool:
    """Whether a Prefect server is started: not if the user has one, or uses none."""
    return settings.prefect_api_url is None and settings.orchestrator == "prefect"


def _child_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    paths = [str(ROOT), *filter(None, [inherited.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1", SUPERVISED: "1"}


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    # -P: a folder that the service is started from must not shadow our modules.
    return (sys.executable, "-P", "-m", name, *arguments)


def _prefect(settings: Settings, env: Mapping[str, str]) -> ChildSpec:
    return ChildSpec(
        "prefect",
        _module("flows.prefect_server"),
        {**env, **server_environment(settings)},
        stop_stage=_PREFECT_STOPS,
    )


def _api(settings: Settings, env: Mapping[str, str]) -> ChildSpec:
    options = {
        "--app-dir": str(ROOT),
        "--host": settings.api_host.strip("[]"),
        "--port": str(settings.api_port),
        "--log-level": "warning",
        "--timeout-graceful-shutdown": "1",
    }
    words = [word for option in options.items() for word in option]
    argv = _module("uvicorn", "api_service:app", "--no-access-log", *words)
    return ChildSpec("api", argv, env, stop_stage=_API_STOPS)


def _worker(settings: Settings, env: Mapping[str, str], number: int) -> ChildSpec:
    name = f"worker-{number}"
    return ChildSpec(
        name,
        _module("flows.worker"),
        {**env, **client_environment(settings), "WORKER_NAME": name},
        stop_stage=_WORKERS_STOP,
    )


def service_links(settings: Settings) -> Links:
    """Return the addresses to show once the service is ready."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.api_host, settings.api_host)  # noqa: S104
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    api = f"http://{host}:{settings.api_port}"
    prefect = settings.prefect_api_url or f"http://127.0.0.1:{settings.prefect_port}/api"
    pages = {"API": f"{api}/docs", "Console": f"{api}/console"}
    if settings.orchestrator == "prefect":
        pages["Prefect"] = prefect.removesuffix("/api")
    return Links(f"{api}/ready", pages)


async def serve(settings: Settings) -> None:
    """Run the service until it is told to stop. Raises `ConfigError` if it cannot start."""
    allowed_hosts(settings.http_allowed_hosts)  # a slip there is told now, not by the first node
    children = service_children(settings, os.environ)
    names = ["cauce", *(child.name for child in children)]
    log = ProcessLog(sys.stdout, names, colour=colour_wanted(sys.stdout))
    try:
        with RunFolder(settings.data_dir / "run") as folder:
            await _await_ports(settings, _LEFTOVER_SECONDS if folder.leftovers else 0.0)
            timing = Timing(stop_within=max(0.5, settings.stop_seconds - _MARGIN_SECONDS))
            supervisor = Supervisor(children, folder, log, timing)
            await _supervise(supervisor, service_links(settings), log)
    finally:
        log.close()


async def _await_ports(settings: Settings, patience: float) -> None:
    await await_port(settings.api_host, settings.api_port, "API_PORT", patience=patience)
    if needs_prefect_server(settings):
        await await_port("127.0.0.1", settings.prefect_port, "PREFECT_PORT", patience=patience)


async def _supervise(supervisor: Supervisor, links: Links, log: ProcessLog) -> None:
    stop = asyncio.Event()

    def react() -> None:
        if stop.is_set():
            supervisor.kill()
        else:
            log.line("cauce", "Stopping. Press Ctrl+C again to stop at once.")
        stop.set()

    with on_stop_signal(react):
        async with supervisor:
            log.line("cauce", "Starting. Press Ctrl+C to stop.")
            announcing = asyncio.create_task(announce_when_ready(links, log))
            await stop.wait()
            announcing.cancel()
        log.line("cauce", "Stopped.")


def main(arguments: list[str]) -> int:
    """Run a verb and return the exit code: 1 if it failed, 2 for a wrong verb."""
    verb = arguments[0] if arguments else "start"
    if verb not in {"start", "demo"} or len(arguments) > 1:
        helped = verb in {"help", "-h", "--help"}
        (sys.stdout if helped else sys.stderr).write(_HELP)
        return 0 if helped else 2
    try:
        if verb == "demo":
            return asyncio.run(run_demo(service_children))
        asyncio.run(serve(load_settings()))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
