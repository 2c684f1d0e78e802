"""The commands of a worker, which it runs on the repositories that it keeps open."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from wiredaemon.commands import CommandError, Permission, ServerError
from wiredaemon.repository.clone_bundles import BUNDLE_STATES, CLONE_BUNDLE
from wiredaemon.repository.recently_used import RecentlyUsed
from wiredaemon.repository.web_calls import WEB, WebRequest
from wiredaemon.repository.worker_calls import (
    DESCRIBE,
    READY,
    RECOVER,
    STATIC,
    UNAVAILABLE,
    BodyBrokenError,
    CallContext,
    Only,
)
from wiredaemon.worker import pushing, values
from wiredaemon.worker.changeset_data import changesetdata
from wiredaemon.worker.clone_bundles import bundle_states, clone_bundle
from wiredaemon.worker.describe import describe
from wiredaemon.worker.failures import Refusal, server_error
from wiredaemon.worker.file_data import filedata, filesdata
from wiredaemon.worker.library import mercurial_version
from wiredaemon.worker.manifest_data import manifestdata
from wiredaemon.worker.opening import KeptRepository, RepositoryUnavailable
from wiredaemon.worker.raw_store import rawstorefiledata
from wiredaemon.worker.recovery import recover
from wiredaemon.worker.static_files import static_file
from wiredaemon.worker.web import web

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from wiredaemon.wire.values import Value
    from wiredaemon.worker.library_types import Repository
    from wiredaemon.worker.program import CommandBody

KEPT_REPOSITORIES: Final = 16
"""Repositories that one worker keeps open, those used last.

Each holds its indexes in memory; a command on any other one has to open it first.
"""


def _pushkey(repository: Repository, **arguments: bytes) -> Value:
    moved, output = pushing.pushkey(repository, **arguments)
    return [moved, output]


READS: Final[Mapping[bytes, Callable[..., Any]]] = {
    b"branchmap": values.branchmap,
    BUNDLE_STATES: bundle_states,
    b"clonebundles": values.clonebundles,
    b"heads": values.heads,
    b"known": values.known,
    b"listkeys": values.listkeys,
    b"lookup": values.lookup,
}
"""Commands that return one value; called with the served view and the arguments by name."""

STREAMS: Final[Mapping[bytes, Callable[..., Iterator[Any]]]] = {
    b"changesetdata": changesetdata,
    CLONE_BUNDLE: clone_bundle,
    b"filedata": filedata,
    b"filesdata": filesdata,
    b"manifestdata": manifestdata,
    b"rawstorefiledata": rawstorefiledata,
}
"""Commands that yield objects one after the other; called the same way."""

WRITES: Final[Mapping[bytes, Callable[..., Any]]] = {b"pushkey": _pushkey}
"""Commands that return one value and need the permission ``rw``; called the same way."""


class WorkerCommands:
    """Runs commands on repositories that stay open between them."""

    def __init__(self, *, kept: int = KEPT_REPOSITORIES) -> None:
        self._kept: RecentlyUsed[bytes, KeptRepository] = RecentlyUsed(
            kept, lambda _, dropped: dropped.close()
        )

    def __call__(
        self, command: object, arguments: object, extra: Mapping[bytes, object], body: CommandBody
    ) -> Iterator[Value | Only]:
        """Run one command and yield its objects.

        Args:
            command: The command's name.
            arguments: The arguments of the request, which the daemon has checked.
            extra: Further keys of the request map; they hold the `CallContext`.
            body: The command data, if there are any.

        Raises:
            CommandError, ServerError: The command failed, for a reason that the peer may read.
        """
        if command == READY:
            yield Only(mercurial_version())
            return
        if command == STATIC:
            yield Only(static_file(_named(arguments).get(b"name")))
            return
        context = CallContext.parse(extra)
        if command == DESCRIBE:
            yield Only(_describe(context.repository))
            return
        with _remote_user(context.user):
            try:
                yield from self._run(command, _named(arguments), context, body)
            except (CommandError, ServerError):
                raise
            except BodyBrokenError:
                # A push was cut off in the middle: what it had begun is in the open repository.
                self._forget(context.repository)
                raise
            except Refusal as refusal:
                raise server_error(refusal) from refusal
            except BaseException as failure:
                # It may have been left in any state: the next command opens it anew.
                # A peer that leaves ends the generator here, between two objects: nothing has
                # failed.
                if not isinstance(failure, GeneratorExit):
                    self._forget(context.repository)
                if isinstance(failure, Exception):
                    raise server_error(failure, context.repository) from failure
                # A hook may call exit().
                raise

    def _run(
        self,
        command: object,
        arguments: Mapping[bytes, object],
        context: CallContext,
        body: CommandBody,
    ) -> Iterator[Value | Only]:
        """Run a command on the repository of the context and yield its objects."""
        if command == RECOVER:
            yield Only(recover(context.repository))
            return
        if command == WEB:
            request = WebRequest.parse(arguments)
            yield from web(self._keep(context.repository), context, request=request, body=body)
            return
        keywords = {name.decode(): value for name, value in arguments.items()}
        if isinstance(command, bytes) and command in STREAMS:
            yield from STREAMS[command](self._served(context.repository), **keywords)
        else:
            function = _find(command, context.permission)
            yield Only(function(self._served(context.repository), **keywords))

    def _served(self, path: bytes) -> Repository:
        return self._keep(path).served()

    def _keep(self, path: bytes) -> KeptRepository:
        kept = self._kept.use(path)
        if kept is None:
            kept = KeptRepository(path)
            self._kept.keep(path, kept)
        return kept

    def _forget(self, path: bytes) -> None:
        kept = self._kept.remove(path)
        if kept is not None:
            kept.close()


def _find(command: object, permission: Permission) -> Callable[..., Any]:
    if isinstance(command, bytes):
        if command in READS:
            return READS[command]
        if command in WRITES:
            # Checked by the daemon already; once more, because here is where a fault of it would
            # write.
            if permission is not Permission.RW:
                raise ServerError(b"%s needs the permission rw" % command)
            return WRITES[command]
    raise CommandError("the worker has no such command")


def _named(arguments: object) -> Mapping[bytes, object]:
    return arguments if isinstance(arguments, dict) else {}


def _describe(path: bytes) -> Value:
    try:
        return describe(path).encode()
    except RepositoryUnavailable as unavailable:
        # The daemon logs it, once.
        reason = unavailable.reason.encode("utf-8", "surrogateescape")
        raise CommandError(UNAVAILABLE, [reason]) from unavailable
    except CommandError:
        raise
    except Exception as failure:
        raise server_error(failure, path) from failure


@contextmanager
def _remote_user(user: str | None) -> Iterator[None]:
    """Set ``REMOTE_USER`` for hooks, as a web server does, if the user is known."""
    # First, for the worker itself may have been started with one, and it would be anybody's.
    os.environ.pop("REMOTE_USER", None)
    if user is not None:
        os.environ["REMOTE_USER"] = user
    try:
        yield
    finally:
        os.environ.pop("REMOTE_USER", None)
