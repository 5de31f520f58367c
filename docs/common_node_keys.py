"""The part of the node pages that is not made from models: the keys that every node may have."""

from core.policy_config import (
    DEFAULT_ATTEMPTS,
    LONGEST_NAME,
    MAX_ATTEMPTS,
    MAX_DELAY,
    MAX_NODE_TIMEOUT,
)

COMMON = f"""\
## Keys of every node

Any node's `config` may also have these.

| key | type | default | description |
| --- | --- | --- | --- |
| `customName` | text (at most {LONGEST_NAME} characters) | none | \
Shown instead of the node's `label`. |
| `retry` | whole number or object | by node type | How many attempts, 1 to {MAX_ATTEMPTS}; or \
`{{attempts, delay, backoff, jitter, maxDelay, on}}`. `attempts` is {DEFAULT_ATTEMPTS} if left \
out, the first one included. Attempt n waits `delay * backoff ** (n - 1)` seconds, at most \
`maxDelay` (up to {MAX_DELAY:,}), plus up to `jitter` of that. `on` lists the error codes to \
retry; empty: all that are marked as retryable. |
| `timeout` | number | by node type | \
Seconds that an attempt may take, up to {MAX_NODE_TIMEOUT:,}. |
| `onError` | `"stop"`, `"continue"` or `"route"` | `"stop"` | After the last attempt: fail the \
execution, pass an error item on, or send it through a port `error`. |
| `onInterrupt` | `"retry"` or `"fail"` | `"retry"` | When the worker died inside the node: run it \
again, or let it fail. |
| `waitFor` | `"all"`, `"any"` or whole number | `"all"` | How many connections must have brought \
something before the node runs. |
| `disabled` | `true` or `false` | `false` | Left out: its input flows on to what follows. |
| `pinnedData` | any JSON | none | The node's output; the node itself is not run. |
"""
"""In Markdown."""
