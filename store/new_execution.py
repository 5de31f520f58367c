"""What an execution is accepted with."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NewExecution:
    """An execution to be accepted. `inputs` is a JSON text, `timeout` in milliseconds."""

    id: str
    workflow_id: str
    workflow_name: str
    organization_id: str | None
    version: int
    nodes: tuple[str, ...]
    inputs: str = "{}"
    trigger_type: str = "manual"
    triggered_by: str | None = None
    timeout: int | None = None
    max_parallel: int | None = None
    orchestrator: str | None = None
    priority: int = 0
    concurrency_limit: int | None = None
    retention_days: int | None = None
    retry_of: str | None = None
    retry_request: str | None = None
