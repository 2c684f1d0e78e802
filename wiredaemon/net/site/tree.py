"""The Resource tree: from paths to hosts, APIs and commands.

A resource says with `headers_received` what becomes of a request whose head is complete; what the
answer is, the rules say.

Source: http, section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.web.resource import Resource

from wiredaemon.net.api.framed_exchange import FramedExchange
from wiredaemon.net.api.reflection import Reflection
from wiredaemon.net.api.rules import Accepted, CommandHead, Reflected, check_api_path, check_command
from wiredaemon.net.hgweb.repository_index import IndexResource
from wiredaemon.net.hgweb.resource import PageResource
from wiredaemon.net.http.application import Application, decide
from wiredaemon.net.http.responses import HttpResponse, not_found
from wiredaemon.net.responding.context import Origin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.net.hosting.collection import Names
    from wiredaemon.net.hosting.host import Settings
    from wiredaemon.net.hosting.host_lookup import FoundHost, HostLookup
    from wiredaemon.net.http.request import StreamingRequest
    from wiredaemon.wire.dialects import Dialect

__all__ = ["Application", "make_tree"]

_COMMAND_DEPTH: Final = 3
"""Components behind ``api`` that make a command; further ones are ignored."""


class RootResource(Resource):
    """The root of all paths; what is at a path, it finds out for each request."""

    def __init__(self, application: Application, hosts: HostLookup) -> None:
        """Serve hosts."""
        super().__init__()
        self._application = application
        self.hosts = hosts

    def getChild(self, name: bytes, request: StreamingRequest) -> Resource:
        """Give what is at a path, which Twisted has split at its first slash."""
        names = (name, *(request.postpath or ()))
        return self.resource_at(() if names == (b"",) else names)

    def resource_at(self, names: Names) -> Resource:
        """Give what is at a path now."""
        found = self.hosts.find(names)
        if found is None:
            if self.hosts.may_list(names):
                return IndexResource(self._application, self.hosts, names)
            return FixedResource(not_found())
        prefix, rest = names[: found.consumed], names[found.consumed :]
        if rest[:1] == (b"api",):
            return ApiResource(self._application, self, names, found)
        return PageResource(self._application, found.host, prefix, rest)


class FixedResource(Resource):
    """The same answer for all."""

    isLeaf = True

    def __init__(self, answer: HttpResponse) -> None:
        """Give that answer."""
        super().__init__()
        self._answer = answer

    def headers_received(self, request: StreamingRequest) -> None:
        """HttpResponse."""
        request.answer(self._answer)


class ApiResource(Resource):
    """``api`` and what is below: an API, a permission, a command."""

    isLeaf = True

    def __init__(
        self, application: Application, root: RootResource, names: Names, found: FoundHost
    ) -> None:
        """Stand for a path whose first components have led to a host."""
        super().__init__()
        self._application = application
        self._root = root
        self._names = names
        self._found = found
        self._host = found.host
        self._path = names[found.consumed + 1 :][:_COMMAND_DEPTH]
        self._is_looked_up = True
        self._last: tuple[Settings, str | None, bool, Accepted, Sequence[Dialect]] | None = None
        """What was accepted last, for whom and under which settings.

        A resource stands for one head if it is remembered with it (`KnownHead`), so nothing else
        counts.
        """

    def headers_received(self, request: StreamingRequest) -> None:
        """Decide as soon as the host's settings are known."""
        if not self._found.is_fixed and not self._is_still_there():
            request.resource = self._root.resource_at(self._names)
            request.resource.headers_received(request)
            return
        decide(request, self._host, lambda settings: self._on_settings(request, settings))

    def _is_still_there(self) -> bool:
        """Look again if the path leads to the same repository, for a head that is remembered."""
        if self._is_looked_up:
            self._is_looked_up = False
            return True
        found = self._root.hosts.find(self._names)
        if found is None or found.consumed != self._found.consumed:
            return False
        self._host = found.host
        return True

    def _on_settings(self, request: StreamingRequest, settings: Settings) -> None:
        peer = request.peer()
        if self._last is not None:
            known, user, is_secure, accepted, framings = self._last
            if known is settings and user == peer.user and is_secure == peer.is_secure:
                self._receive_frames(request, settings, accepted, framings)
                return
        found = check_api_path(self._application.apis, settings.switches, self._path)
        if isinstance(found, HttpResponse):
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
            case HttpResponse() as answer:
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


def make_tree(application: Application, hosts: HostLookup) -> RootResource:
    """Give the root of the tree."""
    return RootResource(application, hosts)
