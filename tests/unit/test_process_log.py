"""The log of many processes, and its bounds."""

import io
import os

from supervision.process_log import PENDING_LIMIT, LineCutter, ProcessLog


def test_a_line_is_cut_at_the_limit_in_bounded_memory() -> None:
    cutter = LineCutter(limit=10)
    assert list(cutter.feed(b"0123456789" * 50)) == []
    assert list(cutter.feed(b"tail\nnext\n")) == ["0123456789 … (494 more bytes)", "next"]
    assert list(cutter.end()) == []


def test_names_are_aligned_and_coloured_only_if_wanted() -> None:
    out = io.StringIO()
    log = ProcessLog(out, ["api", "worker-1"], colour=True)
    log.line("api", "x")
    log.close()
    assert out.getvalue().split(" ", 1)[1] == "\x1b[36mapi     \x1b[0m | x\n"


def test_a_reader_that_stands_still_holds_up_nobody() -> None:
    readable, writable = os.pipe()
    with open(writable, "w") as out, open(readable) as reader:  # noqa: PTH123
        log = ProcessLog(out, ["api"])
        line = "x" * 100_000
        for _ in range(2 * PENDING_LIMIT // len(line)):
            log.line("api", line)
        text = next(shown for shown in reader if not shown.endswith("x\n"))
        assert "lines dropped" in text
        log.close()
