"""The site: Twisted's HTTP/1.1 server with our requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.web.server import Site

from wiredaemon.net.http.request import StreamingRequest
from wiredaemon.net.http.tree import make_tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.net.hosting import Host
    from wiredaemon.net.http.tree import Application


def make_site(application: Application, hosts: Mapping[str, Host]) -> Site:
    """Give the factory for HTTP and HTTPS listeners."""

    class LimitedRequest(StreamingRequest):
        limits = application.limits
        reactor = application.reactor

    arguments: dict[str, Any] = {
        "requestFactory": LimitedRequest,
        "reactor": application.reactor,
    }
    return Site(make_tree(application, hosts), **arguments)
