"""What the demo shows: live on a terminal, line by line elsewhere."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_STYLES = {
    "completed": "green",
    "failed": "bold red",
    "running": "cyan",
    "skipped": "dim",
    "waiting": "yellow",
}
_BAR_WIDTH = 40

Answer = Mapping[str, Any]


class Display:
    """Shows an execution's answers; `nodes` are those of the document that it runs."""

    def __init__(self, console: Console, nodes: Sequence[Answer]) -> None:
        self._console = console
        self._labels = {str(node["id"]): str(node.get("label") or node["id"]) for node in nodes}
        self._types = {str(node["id"]): str(node["type"]) for node in nodes}
        self._shown: dict[str, str] = {}
        self._live: Live | None = None

    @contextmanager
    def open(self) -> Iterator["Display"]:
        """Keep one picture up to date while the context is open, if this is a terminal."""
        if not self._console.is_terminal:
            yield self
            return
        with Live(console=self._console, auto_refresh=False) as self._live:
            yield self

    def update(self, execution: Answer, logs: Sequence[Answer]) -> None:
        """Show the state of the execution and of its nodes."""
        latest = {str(entry["nodeId"]): entry for entry in logs if entry.get("nodeId")}
        if self._live:
            self._live.update(self._picture(execution, latest), refresh=True)
        else:
            self._print_changes(latest)

    def _print_changes(self, latest: Mapping[str, Answer]) -> None:
        for node_id, entry in latest.items():
            status = str(entry["status"])
            if self._shown.get(node_id) != status:
                self._shown[node_id] = status
                took = _duration(entry)
                self._console.print(
                    f"  {self._labels.get(node_id, node_id)}: {status} {took}".rstrip(),
                    markup=False,
                    highlight=False,
                    soft_wrap=True,
                )

    def _picture(self, execution: Answer, latest: Mapping[str, Answer]) -> Group:
        progress = execution["progress"]
        done, total = progress["completedNodes"], progress["totalNodes"]
        head = Table.grid(padding=(0, 1))
        head.add_row(
            ProgressBar(total=max(1, total), completed=done, width=_BAR_WIDTH),
            f"{progress['percentage']} %  {done} of {total} nodes",
            _status(str(execution["status"])),
        )
        table = Table("Node", "Type", "Status", "Time", box=None, header_style="bold")
        for node_id, label in self._labels.items():
            if self._types[node_id] != "comment":
                entry = latest.get(node_id, {})
                status = _status(str(entry.get("status", "pending")))
                table.add_row(label, self._types[node_id], status, _duration(entry))
        return Group(head, Text(), table)


def result_text(value: object) -> str:
    """Return a result as indented JSON."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def _status(word: str) -> Text:
    return Text(word, style=_STYLES.get(word, ""))


def _duration(entry: Answer) -> str:
    took = entry.get("duration")
    return "" if took is None else f"{took} ms"
