"""Cauce: runs workflow graphs in the background on Prefect, and never loses one."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("cauce")
except PackageNotFoundError:  # run from its folder, without being installed
    __version__ = "0.1.0"
