"""Workflows to try, and the local server that they read from."""
