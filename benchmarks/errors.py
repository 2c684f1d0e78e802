"""Errors of measurements."""

from __future__ import annotations


class BenchmarkError(Exception):
    """A server did not start, answered wrongly or too little: its figures would mean nothing."""


class UnavailableError(Exception):
    """A candidate cannot run here; the text says why, and the others are measured without it."""
