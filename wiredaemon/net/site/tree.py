"""The Resource tree, which finds the host at a path, and the resource that answers there.

A resource decides in `headers_received` on a request whose head is complete, by the rules of its
package.

Source: http, section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.web.resource import Resource

from wiredaemon.net.api.resource import ApiResource
from wiredaemon.net.hgweb.repository_index import IndexResource
from wiredaemon.net.hgweb.resource import HgwebResource
from wiredaemon.net.hgweb.static_files import NAME as STATIC
from wiredaemon.net.hgweb.static_files import StaticResource
from wiredaemon.net.hosting.decision_cache import DecisionCache
from wiredaemon.net.http.responses import HttpResponse, not_found
from wiredaemon.net.json.resource import NAME as JSON
from wiredaemon.net.json.resource import JsonResource

if TYPE_CHECKING:
    from wiredaemon.net.api.rules import Accepted
    from wiredaemon.net.hosting.collection import Names
    from wiredaemon.net.hosting.host_lookup import HostLookup
    from wiredaemon.net.http.application import Application
    from wiredaemon.net.http.request import StreamingRequest


_INDEX: Final = b"index"
"""After a path it names the list of what is below the path, as a page of hgwebdir's."""


class RootResource(Resource):
    """The root of all paths, which finds the resource at a path anew for each request."""

    def __init__(self, application: Application, hosts: HostLookup) -> None:
        """Make the root.

        Args:
            application: The APIs, limits and reactor that all resources share.
            hosts: Finds the host at a path.
        """
        super().__init__()
        self._application = application
        self.hosts = hosts
        # As many decisions as heads: each remembered head needs one, and many heads share one.
        self._decisions: DecisionCache[Accepted] = DecisionCache(application.limits.known_heads)

    def getChild(self, name: bytes, request: StreamingRequest) -> Resource:
        """Return the resource at a path, whose first component Twisted has split off."""
        names = (name, *(request.postpath or ()))
        resource = self.resource_at(() if names == (b"",) else names)
        if isinstance(resource, JsonResource):
            # Here, because a wrong password is answered in front of the resource.
            request.shows = resource.shows
        return resource

    def resource_at(self, names: Names) -> Resource:
        """Return the resource that is at a path now."""
        found = self.hosts.find(names)
        if found is None:
            return self._resource_beside(names)
        prefix, rest = names[: found.consumed], names[found.consumed :]
        # Compared by the letter: `/API` is a page that hgweb does not know (http, section 3).
        if rest[:1] == (b"api",):
            return ApiResource(
                self._application,
                self._decisions,
                found.host,
                rest[1:],
                # A repository of a collection may be another one, or gone, when the same head comes
                # again.
                again=None if found.is_fixed else PathResource(self, names),
            )
        if rest[:1] == (JSON,):
            return JsonResource(self._application, found.host, rest[1:], prefix)
        return HgwebResource(self._application, found.host, prefix, rest, moved_to=found.moved_to)

    def _resource_beside(self, names: Names) -> Resource:
        """Return the resource at a path that is no repository's: what hgwebdir has there."""
        # Lists have links to where the repositories are now, and so has one at an old path.
        names = self.hosts.now_at(names)
        if self.hosts.may_list(names):
            return IndexResource(self._application, self.hosts, names)
        if names[-1:] == (_INDEX,) and self.hosts.may_list(names[:-1]):
            return IndexResource(self._application, self.hosts, names[:-1])
        for place, name in enumerate(names[:-1]):
            if name == STATIC and self.hosts.is_configured(names[:place]):
                return StaticResource(self._application, names[place + 1 :])
        return FixedResource(not_found())


class FixedResource(Resource):
    """A resource with the same response to all requests."""

    isLeaf = True

    def __init__(self, answer: HttpResponse) -> None:
        """Answer each request with ``answer``."""
        super().__init__()
        self._answer = answer

    def headers_received(self, request: StreamingRequest) -> None:
        """Answer the request."""
        request.answer(self._answer)


class PathResource(Resource):
    """A path that may lead to another host each time: the host is found for each request."""

    isLeaf = True

    def __init__(self, root: RootResource, names: Names) -> None:
        """Stand for the path with the components ``names``."""
        super().__init__()
        self._root = root
        self._names = names

    def headers_received(self, request: StreamingRequest) -> None:
        """Let the resource that is there now decide."""
        request.question = None  # names the host that was there when the head was remembered
        request.resource = self._root.resource_at(self._names)
        request.resource.headers_received(request)


def make_tree(application: Application, hosts: HostLookup) -> RootResource:
    """Return the root of the tree."""
    return RootResource(application, hosts)
