"""The data commands of dialect 0006 as peers may call them.

Declarations only, as in ``declarations``: a worker runs each, and its objects are passed on as
they come.

Source: commands, sections 4.2 and 4.5 to 4.13.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.commands import Argument, Context, Permission, command
from wiredaemon.commands.arguments import ArgumentType

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from wiredaemon.wire.values import Value

_0006: Final = frozenset({"0006"})

MANIFESTS_AT_ONCE: Final = 100000
"""Manifests that a client should ask for in one request."""
CHANGESETS_AT_ONCE: Final = 50000
"""Changesets whose files a client should ask for in one request."""

_REVISIONS: Final = Argument(
    type=ArgumentType.LIST, wrong_type=b"revisions must be defined as an array"
)
_NODES: Final = Argument(type=ArgumentType.LIST)
_HAVE_PARENTS: Final = Argument(type=ArgumentType.BOOL, default=False)


def _fields(*names: bytes) -> Argument:
    return Argument(type=ArgumentType.SET, default=frozenset(), valid_values=frozenset(names))


@command(
    "changesetdata",
    permission=Permission.RO,
    dialects=_0006,
    arguments={
        "revisions": _REVISIONS,
        "fields": _fields(b"bookmarks", b"parents", b"phase", b"revision"),
    },
)
def changesetdata(
    context: Context, revisions: Sequence[Value], fields: AbstractSet[Value]
) -> AsyncGenerator[Value, None]:
    """Give changesets."""
    arguments: Mapping[bytes, Value] = {b"revisions": revisions, b"fields": fields}
    return context.repository.stream(b"changesetdata", arguments)


@command(
    "filedata",
    permission=Permission.RO,
    dialects=_0006,
    arguments={
        "path": Argument(type=ArgumentType.BYTES),
        "nodes": _NODES,
        "fields": _fields(b"linknode", b"parents", b"revision"),
        "haveparents": _HAVE_PARENTS,
    },
    cacheable=True,
)
def filedata(
    context: Context,
    path: bytes,
    nodes: Sequence[Value],
    fields: AbstractSet[Value],
    haveparents: bool,  # noqa: FBT001 named by the protocol
) -> AsyncGenerator[Value, None]:
    """Give revisions of one file."""
    arguments: Mapping[bytes, Value] = {
        b"path": path,
        b"nodes": nodes,
        b"fields": fields,
        b"haveparents": haveparents,
    }
    return context.repository.stream(b"filedata", arguments)


@command(
    "filesdata",
    permission=Permission.RO,
    dialects=_0006,
    arguments={
        "revisions": _REVISIONS,
        # Mercurial offers firstchangeset and never gives it; here it is the linknode.
        "fields": _fields(b"firstchangeset", b"linknode", b"parents", b"revision"),
        "haveparents": _HAVE_PARENTS,
        "pathfilter": Argument(type=ArgumentType.DICT, default=None),
    },
    cacheable=True,
    details={b"recommendedbatchsize": CHANGESETS_AT_ONCE},
)
def filesdata(
    context: Context,
    revisions: Sequence[Value],
    fields: AbstractSet[Value],
    haveparents: bool,  # noqa: FBT001 named by the protocol
    pathfilter: Mapping[bytes, Value] | None,
) -> AsyncGenerator[Value, None]:
    """Give the file revisions of changesets."""
    arguments: Mapping[bytes, Value] = {
        b"revisions": revisions,
        b"fields": fields,
        b"haveparents": haveparents,
        b"pathfilter": pathfilter,
    }
    return context.repository.stream(b"filesdata", arguments)


@command(
    "manifestdata",
    permission=Permission.RO,
    dialects=_0006,
    arguments={
        "tree": Argument(type=ArgumentType.BYTES),
        "nodes": _NODES,
        "fields": _fields(b"parents", b"revision"),
        "haveparents": _HAVE_PARENTS,
    },
    cacheable=True,
    details={b"recommendedbatchsize": MANIFESTS_AT_ONCE},
)
def manifestdata(
    context: Context,
    tree: bytes,
    nodes: Sequence[Value],
    fields: AbstractSet[Value],
    haveparents: bool,  # noqa: FBT001 named by the protocol
) -> AsyncGenerator[Value, None]:
    """Give revisions of manifests."""
    arguments: Mapping[bytes, Value] = {
        b"tree": tree,
        b"nodes": nodes,
        b"fields": fields,
        b"haveparents": haveparents,
    }
    return context.repository.stream(b"manifestdata", arguments)


@command(
    "rawstorefiledata",
    permission=Permission.RO,
    dialects=_0006,
    arguments={
        "files": Argument(type=ArgumentType.LIST),
        "pathfilter": Argument(type=ArgumentType.LIST, default=None),
    },
    needs_stream=True,
)
def rawstorefiledata(
    context: Context, files: Sequence[Value], pathfilter: Sequence[Value] | None
) -> AsyncGenerator[Value, None]:
    """Give the files of the store that hold changesets and manifests."""
    arguments: Mapping[bytes, Value] = {b"files": files, b"pathfilter": pathfilter}
    return context.repository.stream(b"rawstorefiledata", arguments)
