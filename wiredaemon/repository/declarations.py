"""The repository commands as peers may call them.

Declarations only: each asks a worker, through ``context.repository``, and so never imports
Mercurial.

Source: commands, sections 1, 2 and 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from wiredaemon.commands import (
    Argument,
    CommandError,
    Context,
    Permission,
    ServerError,
    TextForm,
    Value,
    WithOutput,
    command,
)
from wiredaemon.commands.argument_types import ArgumentType
from wiredaemon.commands.capabilities import RepositoryFacts
from wiredaemon.repository import text

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from wiredaemon.repository.descriptions import Description

_0002: Final = frozenset({"0002"})


def repository_facts(description: Description) -> RepositoryFacts:
    """Return the facts about a repository that capability descriptors show."""
    return RepositoryFacts(
        version1=description.capabilities,
        reduced=text.reduce_capabilities(description.capabilities),
        compression=description.compression,
        requirements=description.requirements,
        stream_allowed=description.stream_allowed,
    )


# --- every dialect ---------------------------------------------------------------------------


@command("branchmap", permission=Permission.RO, text=TextForm(result=text.encode_branchmap))
async def branchmap(context: Context) -> object:
    """Return the heads of each branch."""
    return await context.repository.call(b"branchmap", {})


def _heads_of_all(_given: bytes) -> bool:
    """0002's ``heads`` has no arguments, and an argument too many is ignored there."""
    return False


@command(
    "heads",
    permission=Permission.RO,
    arguments={"publiconly": Argument(type=ArgumentType.BOOL, default=False, example=False)},
    text=TextForm(result=text.encode_heads, arguments={"publiconly": _heads_of_all}),
)
async def heads(context: Context, publiconly: bool) -> object:  # noqa: FBT001 named by the protocol
    """Return the heads of all that is served, or of what is public."""
    return await context.repository.call(b"heads", {b"publiconly": publiconly})


@command(
    "known",
    permission=Permission.RO,
    # The examples here and below are those of Mercurial's descriptors in 0003 to 0005, byte for
    # byte (commands, section 2.1).
    arguments={"nodes": Argument(type=ArgumentType.LIST, default=(), example=[b"deadbeef"])},
    text=TextForm(result=bytes, arguments={"nodes": text.parse_nodes}),
)
async def known(context: Context, nodes: Sequence[object]) -> object:
    """Return for each node whether it is served."""
    if not all(isinstance(node, bytes) for node in nodes):
        raise CommandError("the elements of argument nodes must be byte strings")
    return await context.repository.call(b"known", {b"nodes": cast("Sequence[bytes]", nodes)})


def _listkeys_text(keys: Mapping[bytes, bytes]) -> bytes:
    try:
        return text.encode_listkeys(keys)
    except ValueError as error:
        raise ServerError(str(error)) from error


@command(
    "listkeys",
    permission=Permission.RO,
    arguments={"namespace": Argument(type=ArgumentType.BYTES, example=b"ns")},
    text=TextForm(result=_listkeys_text),
)
async def listkeys(context: Context, namespace: bytes) -> object:
    """Return the keys of a namespace and their values."""
    return await context.repository.call(b"listkeys", {b"namespace": namespace})


@command(
    "lookup",
    permission=Permission.RO,
    arguments={"key": Argument(type=ArgumentType.BYTES, example=b"foo")},
    text=TextForm(result=text.encode_lookup, failure=text.encode_lookup_failure),
)
async def lookup(context: Context, key: bytes) -> object:
    """Return the node that a name stands for."""
    return await context.repository.call(b"lookup", {b"key": key})


def _pushkey_text(result: WithOutput) -> bytes:
    return text.encode_pushkey(moved=bool(result.value), output=result.output)


@command(
    "pushkey",
    permission=Permission.RW,
    arguments={
        "namespace": Argument(type=ArgumentType.BYTES, example=b"ns"),
        "key": Argument(type=ArgumentType.BYTES, example=b"key"),
        "old": Argument(type=ArgumentType.BYTES, example=b"old"),
        "new": Argument(type=ArgumentType.BYTES, example=b"new"),
    },
    text=TextForm(result=_pushkey_text),
)
async def pushkey(
    context: Context, namespace: bytes, key: bytes, old: bytes, new: bytes
) -> WithOutput:
    """Move a key from one value to another, and say whether it has moved."""
    arguments: Mapping[bytes, Value] = {
        b"namespace": namespace,
        b"key": key,
        b"old": old,
        b"new": new,
    }
    match await context.repository.call(b"pushkey", arguments):
        # Both travel, because only 0002 has a place for what hooks print (commands, section 1).
        case [bool() as moved, bytes() as output]:
            return WithOutput(moved, output)
        case _:
            raise ServerError("pushkey gave no proper result")


# --- only 0002, which shares version 1's commands --------------------------------------------


@command("clonebundles", permission=Permission.RO, dialects=_0002, text=TextForm(result=bytes))
async def clonebundles(context: Context) -> object:
    """Return the manifest of clone bundles, or nothing."""
    return await context.repository.call(b"clonebundles", {})


@command("hello", permission=Permission.RO, dialects=_0002, text=TextForm(result=text.encode_hello))
async def hello(context: Context) -> object:
    """Return the capabilities as a greeting."""
    return await context.describe()


def _needs_version_1(
    name: str, permission: Permission, *arguments: str, exposed: bool = True
) -> Callable[..., Coroutine[Any, Any, Value]]:
    """Declare a command that 0002 knows and that only version 1 could carry out."""

    @command(
        name,
        permission=permission,
        dialects=_0002,
        exposed=exposed,
        arguments={argument: Argument(type=ArgumentType.BYTES) for argument in arguments},
        text=TextForm(result=bytes),
    )
    async def refuse(_context: Context, **_arguments: object) -> Value:
        # Mercurial exposes these in 0002 and fails with an HTTP 500: clients find the command, and
        # a text that helps.
        raise ServerError(
            f"{name} is not available in frames: version 1 of the protocol has it, ?cmd={name}"
        )

    return refuse


debugwireargs = _needs_version_1("debugwireargs", Permission.RO, "one", "two")
getbundle = _needs_version_1("getbundle", Permission.RO)
stream_out = _needs_version_1("stream_out", Permission.RO)
unbundle = _needs_version_1("unbundle", Permission.RW, "heads")

# Known and not exposed: that is row 12 of http, section 3.1, where an unknown name is row 11.
batch = _needs_version_1("batch", Permission.RO, exposed=False)
between = _needs_version_1("between", Permission.RO, exposed=False)
branches = _needs_version_1("branches", Permission.RO, exposed=False)
changegroup = _needs_version_1("changegroup", Permission.RO, exposed=False)
changegroupsubset = _needs_version_1("changegroupsubset", Permission.RO, exposed=False)
