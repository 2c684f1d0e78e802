"""The error of calls that got no answer of their command."""

from __future__ import annotations


class NoAnswerError(Exception):
    """A call was not answered, or not as the caller expects; the text says why.

    What a command itself answers with is a `CommandError` or a `ServerError`, as clients read it.
    """
