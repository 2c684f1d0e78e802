"""The resource that an ordinary Twisted site gets: the APIs and the handshake below its path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from wiredaemon.net.api.resource import ApiResource
from wiredaemon.net.hgweb.resource import HgwebResource
from wiredaemon.net.hosting.decision_cache import DecisionCache
from wiredaemon.net.http.responses import busy
from wiredaemon.net.json.resource import NAME as JSON
from wiredaemon.net.json.resource import JsonResource
from wiredaemon.net.mounted.request import MountedRequest

if TYPE_CHECKING:
    from twisted.web.server import Request

    from wiredaemon.net.api.rules import Accepted
    from wiredaemon.net.hosting.host import Host
    from wiredaemon.net.http.application import Application
    from wiredaemon.net.http.request import HeadReceiver

_RETRY: Final = 10
"""Seconds after which a server that was stopping may be back."""


class MountedResource(Resource):
    """Serves a host without a repository at any path of any ``twisted.web`` site.

    Such a site hands over a request when its whole body has arrived, in memory or in a temporary
    file; larger ones than ``command_data`` with one request in front are refused. Responses leave
    as the client takes them, and commands are cancelled when it goes.

    Args:
        application: The APIs, limits and reactor.
        host: The host, which has commands only.
    """

    isLeaf = True

    def __init__(self, application: Application, host: Host) -> None:
        super().__init__()
        self._application = application
        self._host = host
        self._decisions: DecisionCache[Accepted] = DecisionCache(application.limits.known_heads)
        self.is_stopping = False
        """Requests are refused: the service is being stopped."""

    def render(self, request: Request) -> int:
        """Answer a request."""
        mounted = MountedRequest(request, self._application)
        if self.is_stopping:
            mounted.answer(busy("the server is stopping", _RETRY))
        else:
            resource = self._resource_at(tuple(request.postpath or ()))
            if isinstance(resource, JsonResource):
                mounted.shows = resource.shows
            mounted.begin(resource)
        return NOT_DONE_YET

    def _resource_at(self, names: tuple[bytes, ...]) -> HeadReceiver:
        if names[:1] == (b"api",):
            return ApiResource(self._application, self._decisions, self._host, names[1:])
        if names[:1] == (JSON,):
            return JsonResource(self._application, self._host, names[1:], None)
        # A slash at the end names nothing more.
        rest = () if names == (b"",) else names
        return HgwebResource(self._application, self._host, (), rest)
