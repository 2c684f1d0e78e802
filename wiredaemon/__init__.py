"""A Twisted daemon for Mercurial's frame-based wire protocol (hgrpc), and RPC for programs.

For instance::

    from wiredaemon import Argument, ArgumentType, Permission, Service
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from wiredaemon.accounts.login import Login
    from wiredaemon.commands import (
        Argument,
        ArgumentType,
        CommandError,
        Context,
        Permission,
        ServerError,
        command,
    )
    from wiredaemon.service import Certificate, Listener, Service
    from wiredaemon.wire.limits import Limits

__version__ = "0.1.0"

__all__ = [
    "Argument",
    "ArgumentType",
    "Certificate",
    "CommandError",
    "Context",
    "Limits",
    "Listener",
    "Login",
    "Permission",
    "ServerError",
    "Service",
    "command",
]

_HOMES: Final = {
    **dict.fromkeys(("Certificate", "Listener", "Service"), "wiredaemon.service"),
    "Limits": "wiredaemon.wire.limits",
    "Login": "wiredaemon.accounts.login",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 whatever has the name
    """Return a name of `__all__`; its module is imported only then.

    Workers and pytest's plugin import this package, and must not load Twisted for that.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "wiredaemon.commands")), name)
