"""The ports that are open: each has an endpoint string, and a factory that a reload exchanges."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks, maybeDeferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger

from wiredaemon.daemon.current_factory import CurrentFactory
from wiredaemon.daemon.example import example_clone, example_command
from wiredaemon.net.endpoints import server_endpoint
from wiredaemon.net.guard.accepting import Accepting

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from twisted.internet.interfaces import IListeningPort

    from wiredaemon.daemon.assembly import Listener
    from wiredaemon.daemon.config import Config

_log: Final = Logger()

ADMIN: Final = "admin"
"""The kind of the listeners of metrics and health."""
_SCHEMES: Final = {
    "http": "http",
    "https": "https",
    "framed": "hgrpc",
    "framed_tls": "hgrpcs",
    ADMIN: "http",
}
"""The URL scheme of each kind of listener."""
_LOOPBACK_OF: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 listens nowhere
"""Addresses for the examples where a listener is on all addresses, which is none to connect to."""


class StartError(Exception):
    """The daemon cannot start.

    Not a SystemExit: twistd reports only an Exception to its parent process, which waits for it.
    """


class OpenListener(NamedTuple):
    """A port, and the factory that can be replaced behind it."""

    listener: Listener
    port: IListeningPort
    factory: CurrentFactory


class Change:
    """The step from the listeners of one configuration to those of another one.

    Those of both configurations are open; `commit` or `undo` closes some.
    """

    def __init__(self, listening: Listening, config: Config) -> None:
        self._listening = listening
        self._config = config
        self.left = list(listening.open)
        """Listeners that the new configuration does not have."""
        self.opened: list[OpenListener] = []
        """Listeners that the former configuration did not have."""
        self.kept: list[tuple[OpenListener, Listener]] = []

    def find_left(self, endpoint: str) -> OpenListener | None:
        """Return a listener with this endpoint that the new configuration has not taken so far."""
        return next((each for each in self.left if each.listener.endpoint == endpoint), None)

    def commit(self) -> Deferred[None]:
        """Let new connections be those of the new configuration; fires when all others are shut."""
        for before, listener in self.kept:
            before.factory.replace(listener.factory)
            if listener.kind != before.listener.kind:
                _tell(listener, before.port.getHost(), self._config)
        kept = [each._replace(listener=listener) for each, listener in self.kept]
        self._listening.open = kept + self.opened
        for each in self.left:
            _log.info("no longer listening on {endpoint}", endpoint=each.listener.endpoint)
        return _close(self.left)

    def undo(self) -> Deferred[None]:
        """Close what was opened: the former configuration counts as before."""
        return _close(self.opened)


class Listening:
    """The listeners that are open.

    Args:
        reactor: Opens the ports.
    """

    def __init__(self, reactor: Any) -> None:  # noqa: ANN401 zope interfaces do not intersect
        self._reactor = reactor
        self._accepting = Accepting(reactor)
        self.open: list[OpenListener] = []

    @inlineCallbacks
    def change(
        self, listeners: Sequence[Listener], config: Config
    ) -> Generator[Deferred[Any], Any, Change]:
        """Open the listeners that are not open; a `Change` decides whether they stay.

        A port stays open where both configurations have its endpoint, whatever is spoken there.

        Args:
            listeners: All that are to be open.
            config: The configuration that they are made of, for the examples in the log.

        Raises:
            StartError: A listener cannot be opened; then none was.
        """
        change = Change(self, config)
        try:
            # One after the other, so that the log has them in the order of the configuration.
            for listener in listeners:
                same = change.find_left(listener.endpoint)
                if same is None:
                    opened = yield self._listen(listener, config)
                    change.opened.append(opened)
                else:
                    change.left.remove(same)
                    change.kept.append((same, listener))
        except StartError:
            yield change.undo()
            raise
        return change

    def close(self, *, but: str = "") -> Deferred[None]:
        """Close all listeners but those of one kind; open connections stay."""
        self._accepting.stop()
        closing = [each for each in self.open if each.listener.kind != but]
        self.open = [each for each in self.open if each.listener.kind == but]
        return _close(closing)

    @inlineCallbacks
    def _listen(
        self, listener: Listener, config: Config
    ) -> Generator[Deferred[Any], Any, OpenListener]:
        factory = CurrentFactory(listener.factory)
        try:
            port = yield server_endpoint(self._reactor, listener.endpoint).listen(factory)
        except Exception as error:
            message = f"cannot listen on {listener.endpoint} ({listener.kind}): {error}"
            raise StartError(message) from error
        self._accepting.watch(port)
        _tell(listener, port.getHost(), config)
        return OpenListener(listener, port, factory)


def _tell(listener: Listener, address: Any, config: Config) -> None:  # noqa: ANN401 each kind has its own fields
    """Log where a listener is, with examples for people who have just started the daemon."""
    host, number = getattr(address, "host", None), getattr(address, "port", None)
    scheme = _SCHEMES[listener.kind]
    if host is None:
        path = getattr(address, "name", address)
        where = f"{scheme}+unix:{os.fsdecode(path) if isinstance(path, bytes) else path}"
    else:
        where = _url(scheme, host, number)
    _log.info("{name} listening on {where}", name=listener.kind, where=where)
    if host is not None:
        url = _url(scheme, _LOOPBACK_OF.get(host, host), number)
        if listener.kind == ADMIN:
            _log.info("  try: {example}", example=f"curl -s {url}metrics")
            return
        example = example_command(config, url, listener.dialect)
        _log.info("  try: {example}", example=example)
        clone = example_clone(config, url)
        if clone is not None:
            _log.info("  or:  {example}", example=clone)


def _url(scheme: str, host: str, port: object) -> str:
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"


def _close(listeners: Iterable[OpenListener]) -> Deferred[None]:
    """Close ports; what fails there is of no use to anybody."""
    closing = []
    for each in listeners:
        port: Any = each.port
        if IReadDescriptor.providedBy(port):
            # Connections that wait to be accepted: the system would reset them.
            port.doRead()
        closing.append(maybeDeferred(port.stopListening))
    return DeferredList(closing, consumeErrors=True).addCallback(lambda _: None)
