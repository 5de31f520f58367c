"""`comment`: a note in the drawing."""

from typing import Any

from pydantic import Field

from tasks.context import NodeContext
from tasks.registry import NodeConfig, node


class CommentConfig(NodeConfig):
    """The note."""

    text: str = Field("", alias="commentText", description="The note.")


@node("comment", title="Comment", executable=False, pure=True, verbatim=("commentText",))
async def comment(_config: CommentConfig, data: Any, _context: NodeContext) -> Any:
    """A note for people. It is never executed and does not count."""
    return data
