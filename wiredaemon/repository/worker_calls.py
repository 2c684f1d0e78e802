"""The agreement of the daemon and its workers beyond the protocol: both sides import this.

A worker speaks `WORKER_DIALECT` on its standard input and output. Each request carries one more
key, ``context``; some commands are for the daemon alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from wiredaemon.commands import CommandError, Permission
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.wire.values import Value

WORKER_MODULE: Final = "wiredaemon.worker"
"""The program, for ``python -P -m``."""

WORKER_DIALECT: Final = replace(DIALECTS["0006"], sender_settings=False)
"""Dialect 0006 without content encodings: what goes through a pipe is not made smaller.

No frame then carries flags of its stream but the first one, which spares both sides the bookkeeping
of streams for each answer.
"""

READY: Final = b"ready"
"""Private command: answered with Mercurial's version as soon as the worker can work."""

DESCRIBE: Final = b"describe"
"""Private command: returns the `Description` of a repository."""

UNAVAILABLE: Final = b"repository unavailable: %s"
"""Message of the command error that answers ``describe``; its argument is the reason."""

OTHER_EXTENSIONS: Final = b"the worker has loaded other extensions: not %s but %s"
"""Message of the command error of a worker that may not open a repository, because it has loaded
the extensions of others; its arguments are the names of the wanted set and of the worker's own."""

STATIC: Final = b"static"
"""Private command: returns type and content of a file that pages use, or null if there is none."""

RECOVER: Final = b"recover"
"""Private command: rolls back an abandoned transaction, and returns one of the next three."""

CLEAN: Final = b"clean"
"""There is no transaction, running or abandoned."""

RUNNING: Final = b"running"
"""One is running, as far as can be known from here."""

RECOVERED: Final = b"recovered"
"""One was abandoned; it is rolled back now."""

CONTEXT_KEY: Final = b"context"


@dataclass(frozen=True, slots=True)
class Only:
    """The only object of an answer, as most commands return it; it is sent at once."""

    value: Value


class BodyBrokenError(Exception):
    """Command data ended before they were complete: their sender has gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """The repository, the user and the permission of a command: a map in the request map."""

    repository: bytes
    """The repository's working folder, as a path."""
    user: str | None = None
    permission: Permission = Permission.RO
    """The permission that the daemon has granted; a command with ``RW`` is taken for a write."""

    def encode(self) -> Mapping[bytes, Value]:
        """Return the extra keys of the request map."""
        user = None if self.user is None else self.user.encode("utf-8", "surrogateescape")
        context: Mapping[bytes, Value] = {
            b"repository": self.repository,
            b"user": user,
            b"permission": self.permission.value.encode(),
        }
        return {CONTEXT_KEY: context}

    @classmethod
    def parse(cls, extra: Mapping[bytes, object]) -> CallContext:
        """Read the extra keys of a request map.

        Raises:
            CommandError: They are not as ``encode`` returns them.
        """
        match extra.get(CONTEXT_KEY):
            case {
                b"repository": bytes() as repository,
                b"user": (bytes() | None) as user,
                b"permission": b"ro" | b"rw" as permission,
            }:
                return cls(
                    repository=repository,
                    user=None if user is None else user.decode("utf-8", "surrogateescape"),
                    permission=Permission(permission.decode()),
                )
            case _:
                raise CommandError("the request has no proper context")
