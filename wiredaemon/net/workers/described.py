"""Reads a worker's answer to ``describe``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.repository.worker_calls import UNAVAILABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.python.failure import Failure


class RepositoryUnavailableError(Exception):
    """A repository cannot be opened or its configuration cannot be read."""

    def __init__(self, reason: str) -> None:
        """Name the file or folder and the reason, for the operator: the text shows server paths."""
        super().__init__(reason)
        self.reason = reason


def check_description(description: object, learn: Callable[[bytes], object]) -> dict[bytes, object]:
    """Return the map that describes a repository.

    Args:
        description: The worker's answer.
        learn: Is called with the repository's set of extensions.

    Raises:
        ServerError: The value is no description.
    """
    if not isinstance(description, dict):
        raise ServerError("the repository worker gave no description")
    extensions = description.get(b"extensions")
    if isinstance(extensions, bytes):
        learn(extensions)
    return description


def read_unavailable(failure: Failure) -> Failure:
    """Return what else went wrong.

    Raises:
        RepositoryUnavailableError: The worker says why the repository cannot be described.
    """
    error = failure.value
    if isinstance(error, CommandError) and error.message == UNAVAILABLE and error.arguments:
        raise RepositoryUnavailableError(error.arguments[0].decode("utf-8", "surrogateescape"))
    return failure
