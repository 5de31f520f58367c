"""Keeping child processes alive, their logs readable, and their end clean.

Knows nothing of this service: it is told what to run.
"""
