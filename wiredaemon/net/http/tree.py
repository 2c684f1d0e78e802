"""The Resource tree: from paths to hosts, APIs and commands.

A resource says with `headers_received` what becomes of a request whose head is complete; what the
answer is, the rules say.

Source: http, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.resource import Resource

from wiredaemon.net.context import Origin
from wiredaemon.net.http.exchange import FramedExchange
from wiredaemon.net.http.handshake import VERSION1, answer_capabilities
from wiredaemon.net.http.reflection import Reflection
from wiredaemon.net.rules import (
    Accepted,
    Answer,
    Api,
    CommandHead,
    Reflected,
    check_api_path,
    check_command,
    no_such_method,
    not_found,
    text,
    unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from twisted.python.failure import Failure

    from wiredaemon.net.hosting import Host, Settings
    from wiredaemon.net.http.request import StreamingRequest
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.limits import Limits

_COMMAND_DEPTH: Final = 3
"""Components behind ``api`` that make a command; further ones are ignored."""
_log: Final = Logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What all resources share."""

    apis: Sequence[Api]
    limits: Limits
    reactor: Any
    keeps_log: bool = False
    """A line is logged for each request."""


class PathResource(Resource):
    """A path that perhaps hosts something, and the paths below it that do."""

    def __init__(self, application: Application, host: Host | None = None) -> None:
        """Begin with nothing below."""
        super().__init__()
        self._application = application
        self.host = host

    def getChild(self, name: bytes, request: StreamingRequest) -> Resource:
        """Find what is below, where no deeper path hosts it."""
        if name == b"" and not request.postpath and len(request.prepath) == 1:
            return self
        if self.host is None:
            return FixedResource(not_found())
        if name == b"api":
            return ApiResource(self._application, self.host)
        return PageResource(self.host, name)

    def headers_received(self, request: StreamingRequest) -> None:
        """Answer at the path itself."""
        host = self.host
        if host is None:
            request.answer(not_found())
            return
        command = _query_command(request)
        if command is None:
            request.answer(_WELCOME)
        elif command == b"capabilities":
            _decide(
                request,
                host,
                lambda settings: request.answer(
                    answer_capabilities(
                        host, settings, self._application.apis, request.header, request.peer()
                    )
                ),
            )
        else:
            request.answer(no_such_method(command))


class PageResource(Resource):
    """A path that only a version 1 command or a web page could be at."""

    isLeaf = True

    def __init__(self, host: Host, name: bytes) -> None:
        """Answer for the component behind the repository's path."""
        super().__init__()
        self._host = host
        self._name = name

    def headers_received(self, request: StreamingRequest) -> None:
        """Answer that it is none."""
        if _query_command(request) is not None:
            request.answer(_VERSION1_NOT_FOUND)
        else:
            request.answer(no_such_method(self._name))


class FixedResource(Resource):
    """The same answer for all."""

    isLeaf = True

    def __init__(self, answer: Answer) -> None:
        """Give that answer."""
        super().__init__()
        self._answer = answer

    def headers_received(self, request: StreamingRequest) -> None:
        """Answer."""
        request.answer(self._answer)


class ApiResource(Resource):
    """``api`` and what is below: an API, a permission, a command."""

    def __init__(self, application: Application, host: Host, path: tuple[bytes, ...] = ()) -> None:
        """Stand for the components ``path`` behind ``api``."""
        super().__init__()
        self._application = application
        self._host = host
        self._path = path
        self.isLeaf = len(path) == _COMMAND_DEPTH
        self._last: tuple[Settings, str | None, bool, Accepted, Sequence[Dialect]] | None = None
        """What was accepted last, for whom and under which settings.

        A resource stands for one head if it is remembered with it (`KnownHead`), so nothing else
        counts.
        """

    def getChild(self, name: bytes, request: StreamingRequest) -> ApiResource:  # noqa: ARG002 Twisted's signature
        """Go one component down."""
        return ApiResource(self._application, self._host, (*self._path, name))

    def headers_received(self, request: StreamingRequest) -> None:
        """Decide as soon as the host's settings are known."""
        _decide(request, self._host, lambda settings: self._on_settings(request, settings))

    def _on_settings(self, request: StreamingRequest, settings: Settings) -> None:
        peer = request.peer()
        if self._last is not None:
            known, user, is_secure, accepted, framings = self._last
            if known is settings and user == peer.user and is_secure == peer.is_secure:
                self._receive_frames(request, settings, accepted, framings)
                return
        found = check_api_path(self._application.apis, settings.switches, self._path)
        if isinstance(found, Answer):
            request.answer(found)
            return
        _, permission, command = self._path
        head = CommandHead(
            method=request.method,
            permission=permission,
            command=command,
            accept=request.header(b"Accept"),
            content_type=request.header(b"Content-Type"),
        )
        match check_command(
            found, settings.switches, settings.access, self._host.registry, head, peer
        ):
            case Answer() as answer:
                request.answer(answer)
            case Reflected(dialect=dialect):
                request.receive_body(Reflection(request, dialect, self._application.limits))
            case Accepted() as accepted:
                self._last = (settings, peer.user, peer.is_secure, accepted, found.framings)
                request.remember()
                self._receive_frames(request, settings, accepted, found.framings)

    def _receive_frames(
        self,
        request: StreamingRequest,
        settings: Settings,
        accepted: Accepted,
        framings: Sequence[Dialect],
    ) -> None:
        application = self._application
        origin = Origin(
            host=self._host,
            settings=settings,
            framings=framings,
            dialect=accepted.dialect,
            peer=request.peer(),
            permission=accepted.permission,
        )
        request.receive_body(
            FramedExchange(
                request, accepted, origin, reactor=application.reactor, limits=application.limits
            )
        )


def _decide(request: StreamingRequest, host: Host, decide: Callable[[Settings], None]) -> None:
    """Decide with the host's settings; while a worker is asked for them nothing is read."""
    settings = host.settings()
    if not isinstance(settings, Deferred):
        decide(settings)
        return
    request.pause_input()

    def on_settings(known: Settings) -> None:
        if not request.is_abandoned:
            decide(known)

    def on_failure(_: Failure) -> None:
        request.answer(unavailable())

    def on_bug(failure: Failure) -> None:
        _log.failure("a request could not be decided", failure)
        if not request.is_abandoned:
            request.channel.loseConnection()

    settings.addCallbacks(on_settings, on_failure)
    settings.addErrback(on_bug)


def _query_command(request: StreamingRequest) -> bytes | None:
    """Give the version 1 command that the query names."""
    query = request.uri.partition(b"?")[2].decode("latin-1")
    values = parse_qs(query, encoding="latin-1").get("cmd")
    return values[0].encode("latin-1") if values else None


_WELCOME: Final = text(
    200,
    b"OK",
    b"wiredaemon serves Mercurial's frame-based wire protocol; see api below this path\n",
)
_VERSION1_NOT_FOUND: Final = Answer(
    status=404, reason=b"Not Found", headers=(VERSION1,), body=b"0\nNot Found\n"
)


def make_tree(application: Application, hosts: Mapping[str, Host]) -> PathResource:
    """Give the root of the tree.

    Args:
        application: What all resources share.
        hosts: By URL prefix: ``/``, or ``/name/name``.
    """
    root = PathResource(application, hosts.get("/"))
    for prefix in sorted(hosts):
        node = root
        components = [part for part in prefix.encode().split(b"/") if part]
        for component in components:
            child = node.getStaticEntity(component)
            if child is None:
                child = PathResource(application)
                node.putChild(component, child)
            node = child
        if components:
            node.host = hosts[prefix]
    return root
