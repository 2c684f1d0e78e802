"""Calls of a service's commands in memory, for the tests of programs that have commands.

For instance::

    tester = ServiceTester(service, user="ann")
    assert await tester.call("greet", {"name": b"world"}) == b"hello world"
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wiredaemon.testing.errors import NoAnswerError
    from wiredaemon.testing.tester import ServiceTester

__all__ = ["NoAnswerError", "ServiceTester"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 whatever has the name
    """Return a name of `__all__`; pytest's plugin is in this package, and imports no Twisted."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "errors" if name == "NoAnswerError" else "tester"
    return getattr(import_module(f"wiredaemon.testing.{home}"), name)
