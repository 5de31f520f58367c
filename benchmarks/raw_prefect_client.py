"""Runs chains of trivial Prefect tasks and prints what they cost, as JSON.

A child of `benchmarks.raw_prefect`, since Prefect reads its settings while it is imported.
`naive` is a flow as the manual shows it; `held` keeps one API client open around all runs and
names its result storage, which spares each run two TLS contexts and a blocking request.
"""

import argparse
import asyncio
import json
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.client.schemas.objects import State
from prefect.context import AsyncClientContext, SyncClientContext

Chain = Callable[[int], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Figures:
    """What one client measured. Times in milliseconds, CPU time of the client process only."""

    chain_10_p50: float
    per_node: float
    runs_per_second: float
    runs_failed: int
    cpu_per_run: float
    chain_1000: float | None


@task(persist_result=False)
async def step(number: int) -> int:
    """Return the next number."""
    return number + 1


async def chain(length: int) -> int:
    """Run `length` tasks one after the other."""
    number = 0
    for _ in range(length):
        number = await step(number)
    return number


def chain_flow(held: bool) -> Chain:
    """Return the chain as a flow, with its result storage named if `held`."""
    named = flow(name="chain", persist_result=False)
    if not held:
        return named(chain)
    return named(chain).with_options(result_storage=Path(os.environ["PREFECT_HOME"]) / "storage")


async def measure(run: Chain, samples: int, at_once: int, long: bool) -> Figures:
    """Return the figures of `run`, after one run to warm up."""
    await run(10)
    tens = [await _timed(run, 10) for _ in range(samples)]
    forties = [await _timed(run, 40) for _ in range(max(3, samples // 3))]
    ten, forty = statistics.median(tens), statistics.median(forties)
    cpu, begun = time.process_time(), time.perf_counter()
    states = await asyncio.gather(*(_state(run, 10) for _ in range(at_once)))
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    return Figures(
        chain_10_p50=ten,
        per_node=(forty - ten) / 30,
        runs_per_second=sum(states) / seconds,
        runs_failed=at_once - sum(states),
        cpu_per_run=1000 * cpu / at_once,
        chain_1000=await _timed(run, 1000) if long else None,
    )


async def _timed(run: Chain, length: int) -> float:
    begun = time.perf_counter()
    await run(length)
    return 1000 * (time.perf_counter() - begun)


async def _state(run: Any, length: int) -> bool:
    try:
        state: State[Any] = await run(length, return_state=True)
    except Exception:
        return False
    return state.is_completed()


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--held", action="store_true")
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--long", action="store_true")
    options = parser.parse_args()
    async with AsyncExitStack() as stack:
        if options.held:
            stack.enter_context(SyncClientContext.get_or_create())
            await stack.enter_async_context(AsyncClientContext.get_or_create())
        figures = await measure(
            chain_flow(options.held), options.samples, options.at_once, options.long
        )
    print(json.dumps(asdict(figures)))


if __name__ == "__main__":
    asyncio.run(main())
