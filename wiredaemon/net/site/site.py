"""The site: Twisted's HTTP/1.1 server with the project's channel and requests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from twisted.web.http import combinedLogFormatter, datetimeToLogString
from twisted.web.iweb import IAccessLogFormatter
from twisted.web.server import Site
from zope.interface import provider

from wiredaemon.accounts.tokens import TOKEN_START
from wiredaemon.net.departures import Departures
from wiredaemon.net.http.channel import KnownHeadChannel
from wiredaemon.net.http.known_heads import KnownHeads
from wiredaemon.net.http.request import StreamingRequest, path_of
from wiredaemon.net.json.resource import JsonResource
from wiredaemon.net.site.tree import make_tree

if TYPE_CHECKING:
    from twisted.web.iweb import IRequest

    from wiredaemon.net.hosting.host_lookup import HostLookup
    from wiredaemon.net.http.application import Application
    from wiredaemon.net.http.responses import HttpResponse

_TOKEN: Final = re.compile(rf"({TOKEN_START.decode()}[0-9a-f]+_)[\w-]+")
"""A token in a request's target, by mistake: its secret is not for those who read logs."""


@provider(IAccessLogFormatter)
def _log_line(_: str, request: IRequest) -> str:
    """Return a request's line of the log.

    Twisted gives the time of the reactor's clock, which is not the time of day.
    """
    line: str = combinedLogFormatter(datetimeToLogString(), request)
    return _TOKEN.sub(r"\1...", line)


class ApiSite(Site):
    """The factory for HTTP and HTTPS listeners."""

    protocol: Any = KnownHeadChannel
    replaced_by: ApiSite | None = None
    """The site of a later configuration, which serves the next request of each connection."""

    def __init__(self, application: Application, hosts: HostLookup) -> None:
        """Make a site.

        Args:
            application: The APIs, limits and reactor that all resources share.
            hosts: Finds the host at a path.
        """

        # A class of its own for each site: limits of one site are attributes of the class, so that
        # a request need not set them.
        class SiteRequest(StreamingRequest):
            limits = application.limits
            reactor = application.reactor
            keeps_log = application.keeps_log
            identification = application.identification

        arguments: dict[str, Any] = {
            "requestFactory": SiteRequest,
            "reactor": application.reactor,
            "logFormatter": _log_line,
            # Twisted's own starts anew with each byte; the guard's times are absolute.
            "timeout": None,
        }
        super().__init__(make_tree(application, hosts), **arguments)
        self.limits = application.limits
        self.departures = Departures(application.reactor)
        self.guard = application.guard
        # One memory for HTTP and HTTPS: decisions are kept by what else they depend on.
        self.known_heads = KnownHeads(application.limits.known_heads)

    def worded(self, target: bytes, response: HttpResponse) -> HttpResponse:
        """Return a refusal in the form that the resource at a target gives to its own.

        Args:
            target: The target of a request whose head is refused; empty if that is not known.
            response: The refusal, as text.
        """
        if not target:
            return response
        _, names = path_of(target)
        resource = self.resource.resource_at(() if names == [b""] else tuple(names))
        return resource.shows(response) if isinstance(resource, JsonResource) else response

    def take_over(self, channel: KnownHeadChannel) -> None:
        """Serve the next request of a connection, as the latest configuration says."""
        if self.replaced_by is not None:
            self.replaced_by.take_over(channel)
            return
        channel.site = channel.factory = self
        channel.requestFactory = self.requestFactory
        # Which proxies are trusted, and who may log in, may have changed.
        channel.client = None

    def acceptableProtocols(self) -> list[bytes]:
        """Return the protocols for ALPN: no HTTP/2, which our channel does not speak."""
        return [b"http/1.1"]


def make_site(application: Application, hosts: HostLookup) -> ApiSite:
    """Return the factory for HTTP and HTTPS listeners."""
    return ApiSite(application, hosts)
