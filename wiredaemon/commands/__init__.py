"""Commands: their declared arguments and permissions, the registry, and running one.

For instance::

    from wiredaemon.commands import Permission, RawBytes, command

    @command("customreadonly", permission=Permission.RO)
    def customreadonly(context):
        return RawBytes(b"customreadonly bytes response")
"""

from wiredaemon.commands.argument_types import ArgumentType
from wiredaemon.commands.arguments import REQUIRED, Argument
from wiredaemon.commands.context import CommandData, Context, Followed, Peer, Repository
from wiredaemon.commands.declaration import Command, TextForm, command
from wiredaemon.commands.permission import Permission
from wiredaemon.commands.results import CommandError, ServerError, WithOutput
from wiredaemon.wire.values import IndefiniteBytes, RawBytes, Redirect, Value

__all__ = [
    "REQUIRED",
    "Argument",
    "ArgumentType",
    "Command",
    "CommandData",
    "CommandError",
    "Context",
    "Followed",
    "IndefiniteBytes",
    "Peer",
    "Permission",
    "RawBytes",
    "Redirect",
    "Repository",
    "ServerError",
    "TextForm",
    "Value",
    "WithOutput",
    "command",
]
