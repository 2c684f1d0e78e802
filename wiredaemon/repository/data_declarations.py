"""The data commands of dialect 0006 as peers may call them.

Each is declared only, as in ``declarations``: a worker runs it, and its objects are passed on as
they come.

Source: commands, sections 4.2 and 4.5 to 4.13.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wiredaemon.commands import Argument, Context, Permission, command
from wiredaemon.commands.argument_types import ArgumentType

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from wiredaemon.wire.values import Value

_0006: Final = frozenset({"0006"})

MANIFESTS_AT_ONCE: Final = 100000
"""Manifests that a client should ask for in one request: Mercurial's own number."""
CHANGESETS_AT_ONCE: Final = 50000
"""Changesets whose files a client should ask for in one request: Mercurial's own number."""

_REVISIONS: Final = Argument(
    type=ArgumentType.LIST, wrong_type=b"revisions must be defined as an array"
)
_NODES: Final = Argument(type=ArgumentType.LIST)
_HAVE_PARENTS: Final = Argument(type=ArgumentType.BOOL, default=False)


def _fields(*names: bytes) -> Argument:
    return Argument(type=ArgumentType.SET, default=frozenset(), valid_values=frozenset(names))


def _asks_worker(
    name: str,
    arguments: Mapping[str, Argument],
    **declared: Any,  # noqa: ANN401 the fields of Command, with their own types
) -> Callable[..., AsyncGenerator[Value, None]]:
    """Declare a command whose objects are those of the worker's command with the same name.

    Args:
        name: The name on the wire, of both commands.
        arguments: Those that peers may send; the worker gets all of them, with their defaults.
        declared: Further fields of `Command`.
    """
    asked = name.encode()
    # Encoded once for each declaration, not for each request.
    keys = {argument: argument.encode() for argument in arguments}

    @command(name, permission=Permission.RO, dialects=_0006, arguments=arguments, **declared)
    def ask(context: Context, **given: Value) -> AsyncGenerator[Value, None]:
        return context.repository.stream(
            asked, {keys[argument]: value for argument, value in given.items()}
        )

    return ask


changesetdata = _asks_worker(
    "changesetdata",
    {
        "revisions": _REVISIONS,
        # Unknown names are refused; Mercurial ignores them, so that a typing error gives an answer
        # without the field (commands, section 4.1).
        "fields": _fields(b"bookmarks", b"parents", b"phase", b"revision"),
    },
)

filedata = _asks_worker(
    "filedata",
    {
        "path": Argument(type=ArgumentType.BYTES),
        "nodes": _NODES,
        "fields": _fields(b"linknode", b"parents", b"revision"),
        "haveparents": _HAVE_PARENTS,
    },
    cacheable=True,
)

filesdata = _asks_worker(
    "filesdata",
    {
        "revisions": _REVISIONS,
        # Mercurial offers firstchangeset and never returns it; here it is the linknode.
        "fields": _fields(b"firstchangeset", b"linknode", b"parents", b"revision"),
        "haveparents": _HAVE_PARENTS,
        "pathfilter": Argument(type=ArgumentType.DICT, default=None),
    },
    cacheable=True,
    details={b"recommendedbatchsize": CHANGESETS_AT_ONCE},
)

manifestdata = _asks_worker(
    "manifestdata",
    {
        "tree": Argument(type=ArgumentType.BYTES),
        "nodes": _NODES,
        "fields": _fields(b"parents", b"revision"),
        "haveparents": _HAVE_PARENTS,
    },
    cacheable=True,
    details={b"recommendedbatchsize": MANIFESTS_AT_ONCE},
)

# The files of the store that hold changesets and manifests, as they are.
rawstorefiledata = _asks_worker(
    "rawstorefiledata",
    {
        "files": Argument(type=ArgumentType.LIST),
        # A list, where `filesdata` has a map, and ignored: that is how the descriptor has it
        # (commands, section 4.2).
        "pathfilter": Argument(type=ArgumentType.LIST, default=None),
    },
    needs_stream=True,
)
