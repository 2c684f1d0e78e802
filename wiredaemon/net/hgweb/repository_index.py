"""Lists the repositories below a path, as a page or in a form for programs.

A list shows the repositories that the peer may read and that are not hidden. A path below a
collection's prefix where the peer may read nothing is answered like one that does not exist: names
of folders are not revealed either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.resource import Resource

from wiredaemon.net.hgweb.index_page import render_page
from wiredaemon.net.hgweb.index_rows import Query, arrange
from wiredaemon.net.hgweb.index_styles import STYLES, Links
from wiredaemon.net.hgweb.survey import Survey
from wiredaemon.net.http.application import end_with
from wiredaemon.net.http.responses import HttpResponse, not_allowed, not_found

if TYPE_CHECKING:
    from wiredaemon.net.hosting.collection import Names
    from wiredaemon.net.hosting.host_lookup import HostLookup
    from wiredaemon.net.http.application import Application
    from wiredaemon.net.http.request import StreamingRequest

# A list depends on its reader and changes at any time, so that no cache may keep it; descriptions
# come from owners of repositories, so that browsers must neither guess types nor run scripts.
_HEADERS: Final = (
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Cache-Control", b"no-cache"),
    (b"Vary", b"Accept"),
)
_HTML: Final = (
    (b"Content-Type", b"text/html; charset=utf-8"),
    # The page has one style element of our own, and nothing else that a browser would load.
    (b"Content-Security-Policy", b"default-src 'none'; style-src 'unsafe-inline'"),
    *_HEADERS,
)
_KNOWN: Final = (b"GET", b"HEAD")


class IndexResource(Resource):
    """The resource that lists the repositories below one path."""

    isLeaf = True

    def __init__(self, application: Application, hosts: HostLookup, names: Names) -> None:
        """Stand for the path with the components ``names``."""
        super().__init__()
        self._reactor = application.reactor
        self._limits = application.limits
        self._hosts = hosts
        self._public_urls = application.public_urls
        self._names = names

    def headers_received(self, request: StreamingRequest) -> None:
        """Answer once all listed repositories are described; no body is read meanwhile."""
        request.body.pause()
        end_with(request, Deferred.fromCoroutine(self._answer(request)))

    async def _answer(self, request: StreamingRequest) -> None:
        query = Query.parse(request.uri.partition(b"?")[2])
        style = STYLES.get("raw" if _wants_text(request) and not query.style else query.style)
        links = self._links(request)
        listing = await self._hosts.list_below(self._names)
        survey = Survey(self._hosts, self._names, listing.entries, request, self._reactor)
        # Programs take a list for complete. Where more are listed than are kept, another look would
        # not know more than this one.
        can_wait = style is not None or len(listing.entries) >= self._limits.known_repositories
        is_whole = await survey.look(None if can_wait else self._limits.index_seconds)
        # A configured prefix is public anyway; any other path must not reveal that it exists.
        is_public = self._hosts.is_configured(self._names)
        if not is_whole and not is_public and not survey.rows:
            is_whole = await survey.look(None)
        if not is_whole:
            survey.leave()
        visible = survey.rows
        rows = arrange(visible, self._names, self._hosts.shape, query)
        if not visible and not is_public:
            answer = not_found()
        elif request.method not in _KNOWN:
            answer = not_allowed(request.method, _KNOWN)
        elif style is not None:
            headers = ((b"Content-Type", style.content_type), *_HEADERS)
            listed = style.render(self._names, rows, links)
            answer = HttpResponse(status=200, reason=b"OK", headers=headers, body=listed)
        else:
            page = await render_page(
                *(self._names, rows, links.path),
                query=query,
                is_cut=listing.is_cut,
                is_partial=not is_whole,
                take_turns=self._take_turns,
            )
            answer = HttpResponse(status=200, reason=b"OK", headers=_HTML, body=page)
        request.answer(answer)

    def _links(self, request: StreamingRequest) -> Links:
        """Return what makes links to paths, by their components, as the client knows them."""
        urls = self._public_urls.seen_by(request)
        return Links(urls.link, lambda names: urls.of(names).text())

    def _take_turns(self) -> Deferred[None]:
        return deferLater(self._reactor, 0)


def _wants_text(request: StreamingRequest) -> bool:
    accept = request.header(b"Accept") or b""
    types = {part.partition(b";")[0].strip().lower() for part in accept.split(b",")}
    return b"text/plain" in types and b"text/html" not in types
