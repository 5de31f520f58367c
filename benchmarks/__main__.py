"""All figures in one run: `python -m benchmarks [--samples N] [--modes prefect,direct] [--no-raw]`.

Prints our figures beside plain Prefect on its stock server and on ours, and their ratios. Absolute
figures depend on the machine and on what else runs there; the ratios are what to compare.
"""

import argparse

from rich.console import Console
from rich.table import Table

from benchmarks.raw_prefect import Figures, compare
from benchmarks.service_figures import MODES, ApiFigures, RunFigures, measure

TARGETS = {
    "submit → first node, ms": ("≤ 60", "≤ 60", "≤ 15"),
    "10-node chain, p50, ms": ("≤ 110", "", "≤ 9"),
    "per node, ms": ("≤ 3", "", "≤ 0.5"),
    "runs/s, 32 at once": ("≥ 10", "≥ 25", "≥ 150"),
    "1,000-node chain, ms": ("≤ 3300", "", "≤ 700"),
    "memory idle, MB": ("≤ 250", "≤ 250", "≤ 250"),
    "failed or not shown": ("0", "0", "0"),
}


def values(figures: RunFigures) -> list[float]:
    """Return the figures in the order of `TARGETS`."""
    return [
        figures.first_node,
        figures.chain_10,
        figures.per_node,
        figures.runs_per_second,
        figures.chain_1000,
        figures.idle_megabytes,
        figures.lost,
    ]


def run_table(ours: dict[str, RunFigures]) -> Table:
    """Return our figures with their targets."""
    table = Table("figure", *(f"{mode} (target)" for mode in ours))
    order = list(MODES)
    for row, (figure, targets) in enumerate(TARGETS.items()):
        cells = [
            f"{values(found)[row]:.4g} ({targets[order.index(mode)]})".replace(" ()", "")
            for mode, found in ours.items()
        ]
        table.add_row(figure, *cells)
    return table


def ratio_table(ours: dict[str, RunFigures], raw: dict[str, Figures]) -> Table:
    """Return how many times our time plain Prefect takes, and the other way round for runs/s."""
    table = Table("plain Prefect ÷ ours", "10-node chain", "runs/s (ours ÷ plain)")
    for mode, found in ours.items():
        for name, figures in raw.items():
            table.add_row(
                f"{name} ÷ {mode}",
                f"{figures['chain_10_p50'] / found.chain_10:.2f}",
                f"{found.runs_per_second / figures['runs_per_second']:.2f}",
            )
    return table


def api_table(api: ApiFigures) -> Table:
    """Return the figures of the API."""
    table = Table("request", "p50, ms", "p99, ms", "per second", "target")
    rows = [
        ("start, 16 clients, worker busy", api.submit, "5 / 30 ms"),
        ("poll, 1 client", api.poll_alone, "1.5 ms"),
        ("poll, 16 clients", api.poll, "≥ 1,500/s"),
    ]
    for name, found, target in rows:
        cells = (f"{found.p50:.2f}", f"{found.p99:.2f}", f"{found.per_second:.0f}")
        table.add_row(name, *cells, target)
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--no-raw", action="store_true", help="leave plain Prefect out")
    chosen = parser.parse_args()
    console, ours = Console(width=120), {}
    raw = {} if chosen.no_raw else compare(["--samples", str(chosen.samples)])
    for mode in chosen.modes.split(","):
        ours[mode], api = measure(mode, chosen.samples)
        if api is not None:
            console.print(api_table(api))
    console.print(run_table(ours))
    if raw:
        console.print(ratio_table(ours, raw))


if __name__ == "__main__":
    main()
