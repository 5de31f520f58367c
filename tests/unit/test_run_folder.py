"""One supervisor per data folder, whatever became of the one before."""

import os
from pathlib import Path

import pytest

from core.errors import ConfigError
from supervision.run_folder import RunFolder


def test_a_second_start_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run"):
        with pytest.raises(ConfigError) as refused, RunFolder(tmp_path / "run"):
            pass
        assert f"(process {os.getpid()}). Stop that one first" in str(refused.value)
    with RunFolder(tmp_path / "run"), RunFolder(tmp_path / "other"):
        pass


def test_a_stale_lock_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "supervisor.lock").write_text("1\n")
    with RunFolder(tmp_path):
        assert (tmp_path / "supervisor.lock").read_text() == f"{os.getpid()}\n"


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = pytest.raises(ConfigError, match=r'DATA_DIR: ".*file" cannot be written to')
    with refused, RunFolder(tmp_path / "file" / "run"):
        pass
