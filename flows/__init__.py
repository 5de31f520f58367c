"""Everything Prefect: the flow, its tasks and hooks; and the worker that runs them."""
