"""The commands of a worker, on the repositories that it keeps open."""

from __future__ import annotations

import os
import sys
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from wiredaemon.commands import CommandError, Permission, ServerError
from wiredaemon.repository import pushing, values
from wiredaemon.repository.describe import describe
from wiredaemon.repository.failures import Refusal, server_error
from wiredaemon.repository.library import mercurial_version
from wiredaemon.repository.opening import KeptRepository, RepositoryUnavailable
from wiredaemon.repository.worker_calls import DESCRIBE, READY, UNAVAILABLE, CallContext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from wiredaemon.repository.library import Repository
    from wiredaemon.wire.values import Value

KEPT_REPOSITORIES: Final = 16
"""Repositories that one worker keeps open."""


def _pushkey(repository: Repository, **arguments: bytes) -> Value:
    moved, output = pushing.pushkey(repository, **arguments)
    return [moved, output]


READS: Final[Mapping[bytes, Callable[..., Any]]] = {
    b"branchmap": values.branchmap,
    b"clonebundles": values.clonebundles,
    b"heads": values.heads,
    b"known": values.known,
    b"listkeys": values.listkeys,
    b"lookup": values.lookup,
}
"""Called with the served view and the arguments by name."""

WRITES: Final[Mapping[bytes, Callable[..., Any]]] = {b"pushkey": _pushkey}
"""The same, for those that need the permission ``rw``."""


class WorkerCommands:
    """Runs commands; its repositories stay open between them."""

    def __init__(self, *, kept: int = KEPT_REPOSITORIES) -> None:
        self._limit = kept
        self._kept: OrderedDict[bytes, KeptRepository] = OrderedDict()

    def __call__(self, command: object, arguments: object, extra: Mapping[bytes, object]) -> Value:
        """Run one command and give its result.

        Args:
            command: Its name.
            arguments: Checked by the daemon; the map of the request.
            extra: Holds the `CallContext`.

        Raises:
            CommandError, ServerError: It failed, for a reason that the peer may read.
        """
        if command == READY:
            return mercurial_version()
        context = CallContext.parse(extra)
        if command == DESCRIBE:
            return _describe(context.repository)
        function = _find(command, context.permission)
        keywords = {name.decode(): value for name, value in _named(arguments).items()}
        try:
            with _remote_user(context.user):
                return function(self._served(context.repository), **keywords)  # type: ignore[no-any-return]
        except Refusal as refusal:
            raise server_error(refusal) from refusal
        except Exception as failure:
            # Nobody knows in what state it was left: the next command opens it anew.
            self._forget(context.repository)
            raise server_error(failure) from failure

    def _served(self, path: bytes) -> Repository:
        kept = self._kept.pop(path, None) or KeptRepository(path)
        self._kept[path] = kept
        while len(self._kept) > self._limit:
            self._kept.popitem(last=False)[1].close()
        return kept.served()

    def _forget(self, path: bytes) -> None:
        kept = self._kept.pop(path, None)
        if kept is not None:
            kept.close()


def _find(command: object, permission: Permission) -> Callable[..., Any]:
    if isinstance(command, bytes):
        if command in READS:
            return READS[command]
        if command in WRITES:
            if permission is not Permission.RW:
                raise ServerError(b"%s needs the permission rw" % command)
            return WRITES[command]
    raise CommandError("the worker has no such command")


def _named(arguments: object) -> dict[bytes, object]:
    return arguments if isinstance(arguments, dict) else {}


def _describe(path: bytes) -> Value:
    try:
        return describe(path)
    except RepositoryUnavailable as unavailable:
        sys.stderr.write(f"{unavailable.reason}\n")
        reason = unavailable.reason.encode("utf-8", "surrogateescape")
        raise CommandError(UNAVAILABLE, [reason]) from unavailable
    except Exception as failure:
        raise server_error(failure) from failure


@contextmanager
def _remote_user(user: str | None) -> Iterator[None]:
    """Tell hooks who asks, as a web server does; nobody if that is not known."""
    os.environ.pop("REMOTE_USER", None)
    if user is not None:
        os.environ["REMOTE_USER"] = user
    try:
        yield
    finally:
        os.environ.pop("REMOTE_USER", None)
