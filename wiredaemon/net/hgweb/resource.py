"""The resource at a repository's path, without its APIs: version 1 commands and pages."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from twisted.web.resource import Resource

from wiredaemon.commands import Permission
from wiredaemon.net.cache.clone_requests import COMMANDS as CLONING
from wiredaemon.net.hgweb.bundle_requests import COMMANDS as BUNDLING
from wiredaemon.net.hgweb.bundle_requests import NO_BUNDLE, BundleRequests, certain_url, is_near
from wiredaemon.net.hgweb.capabilities import VERSION1, answer_capabilities
from wiredaemon.net.hgweb.exchange import HgwebExchange
from wiredaemon.net.hgweb.kept_file import KeptFileExchange
from wiredaemon.net.hgweb.rules import (
    BUNDLES,
    KNOWN,
    HgwebHead,
    check_head,
    is_short,
    refusal_inside,
)
from wiredaemon.net.hgweb.web_request import web_request
from wiredaemon.net.hosting.access import authorize
from wiredaemon.net.http.application import decide
from wiredaemon.net.http.buffered_body import BufferedBody, too_large
from wiredaemon.net.http.responses import (
    HttpResponse,
    no_such_method,
    not_allowed,
    not_found,
    text,
    unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.net.hgweb.kept_file import Exchange
    from wiredaemon.net.hosting.collection import Names
    from wiredaemon.net.hosting.host import Host, Settings
    from wiredaemon.net.http.application import Application
    from wiredaemon.net.http.request import StreamingRequest
    from wiredaemon.repository.web_calls import WebRequest

_WELCOME: Final = text(
    200,
    b"OK",
    b"wiredaemon serves Mercurial's frame-based wire protocol; see api below this path\n",
)
_VERSION1_NOT_FOUND: Final = HttpResponse(
    status=404, reason=b"Not Found", headers=(VERSION1,), body=b"0\nNot Found\n"
)

_UNBUNDLE: Final = b"unbundle"
_STEPS: Final = frozenset({b".", b".."})
"""Components of a path that no page has; they are refused before Mercurial sees them."""

_OK: Final = 200


class HgwebResource(Resource):
    """The resource of a repository's path, or of a path below it that may be a page."""

    isLeaf = True

    def __init__(
        self,
        application: Application,
        host: Host,
        prefix: Names,
        rest: Names,
        *,
        moved_to: Names | None = None,
    ) -> None:
        """Stand for the components ``rest`` after the repository's path ``prefix``.

        Args:
            application: What all resources share.
            host: The host of the repository.
            prefix: The components of its path, as the client has named it.
            rest: Those after them.
            moved_to: The components of its path now, if it has moved.
        """
        super().__init__()
        self._moved_to = moved_to
        self._application = application
        self._host = host
        self._prefix = prefix
        self._rest = rest

    def headers_received(self, request: StreamingRequest) -> None:
        """Answer the request, or start an exchange with a worker."""
        command = _query_command(request)
        is_welcome = command is None and not self._host.has_repository
        is_ours = not self._rest and (is_welcome or command == b"capabilities")
        if is_ours and request.method not in KNOWN:
            request.answer(not_allowed(request.method, KNOWN))
        elif command == b"capabilities" and not self._rest:
            decide(request, self._host, self._answer_capabilities)
        # After capabilities, which never reach Mercurial.
        elif not _STEPS.isdisjoint(self._rest):
            request.answer(not_found())
        elif self._host.has_repository:
            decide(
                request,
                self._host,
                lambda request, settings: self._on_settings(request, settings, command),
            )
        elif self._rest:
            missing = command is not None
            request.answer(_VERSION1_NOT_FOUND if missing else no_such_method(self._rest[0]))
        elif command is None:
            request.answer(_WELCOME)
        else:
            request.answer(no_such_method(command))

    def _on_settings(
        self, request: StreamingRequest, settings: Settings, command: bytes | None
    ) -> None:
        if settings.lacks_repository:
            request.answer(unavailable())
            return
        head = HgwebHead(method=request.method, command=command, rest=tuple(self._rest))
        granted = check_head(head, settings, request.peer())
        if isinstance(granted, HttpResponse):
            request.answer(granted)
            return
        if head.is_of_bundles:
            self._answer_bundle(request)
        else:
            self._start(request, settings, head, granted)

    def _start(
        self, request: StreamingRequest, settings: Settings, head: HgwebHead, granted: Permission
    ) -> None:
        if granted is Permission.RW:
            request.channel.expect_more()
        refusal = partial(refusal_inside, settings, request.peer())
        repository = request.repository = self._host.repository(request.peer(), granted)
        may_pull = authorize(settings.access, Permission.RO, request.peer()) is None
        public = self._application.public_urls.seen_by(request).of(self._prefix)
        wanted = web_request(request, self._prefix, self._rest, public, may_pull=may_pull)
        asked = request, repository, wanted, (limits := self._application.limits)
        # Before a worker is taken, and before the client has sent gigabytes.
        if granted is Permission.RW and (wanted.content_length or 0) > limits.push_size:
            request.answer(too_large("push_size", limits.push_size))
            return
        # A push is streamed: it may be as large as `push_size` and is not held in memory.
        if not wanted.has_body or granted is Permission.RW:
            pushes, push = self._application.pushes, None
            if head.command == _UNBUNDLE and granted is Permission.RW and pushes is not None:
                push = pushes.begin(request.peer().user, wanted)
            clone = repository.clone(wanted) if head.command in CLONING else None
            make = partial(
                HgwebExchange,
                *asked,
                is_short=is_short(head),
                push=push,
                clone=clone,
                refusal=refusal,
            )
            self._kept_or(make, request, wanted, head.command).start()
            return

        def on_body(body: bytearray | memoryview) -> Exchange:
            clone = repository.clone(wanted, body) if head.command in CLONING else None
            make = partial(HgwebExchange, *asked, body=body, clone=clone, refusal=refusal)
            exchange = self._kept_or(make, request, wanted, head.command, body)
            exchange.start()
            return exchange

        # The body holds arguments, which Mercurial reads completely before it runs the command.
        BufferedBody(request, on_body).start()

    def _kept_or(
        self,
        make: Callable[[], HgwebExchange],
        request: StreamingRequest,
        wanted: WebRequest,
        command: bytes | None,
        body: bytes | bytearray | memoryview = b"",
    ) -> Exchange:
        """Return what answers: a kept bundle, or its name, if that is asked for; else a worker."""
        bundles = self._host.bundles
        if bundles is None or command not in BUNDLING:
            return make()
        url = certain_url(request, self._application.public_urls, self._prefix)
        requests = BundleRequests(bundles, request.header, is_near=is_near(request))
        return KeptFileExchange(request, requests.of(wanted, body, command, url), make)

    def _answer_bundle(self, request: StreamingRequest) -> None:
        bundles, names = self._host.bundles, self._rest[len(BUNDLES) :]
        if bundles is None or len(names) != 1:
            request.answer(NO_BUNDLE)
        else:
            find = partial(BundleRequests(bundles, request.header).file, names[0])
            KeptFileExchange(request, find).start()

    def _answer_capabilities(self, request: StreamingRequest, settings: Settings) -> None:
        apis = self._application.apis
        answer = answer_capabilities(self._host, settings, apis, request.header, request.peer())
        # Only who may read it learns where it is now.
        if self._moved_to is not None and answer.status == _OK:
            answer = self._moved(request, self._moved_to)
        request.answer(answer)

    def _moved(self, request: StreamingRequest, names: Names) -> HttpResponse:
        """Return the response that sends a client to another path for all that it asks from now on.

        Clients of Mercurial follow it here alone: what comes to the old path later is answered
        there.
        """
        link = self._application.public_urls.seen_by(request).link(names).encode("ascii")
        place = link.rstrip(b"/") or b"/"
        _, mark, query = request.uri.partition(b"?")
        answer = text(301, b"Moved Permanently", b"the repository is at %s now\n" % place)
        return replace(answer, headers=(*answer.headers, (b"Location", place + mark + query)))


def _query_command(request: StreamingRequest) -> bytes | None:
    """Return the version 1 command in the query, or None; the last one counts, as in hgweb."""
    # ISO-8859-1 has a character for each byte, and `parse_qs` is for text.
    query = request.uri.partition(b"?")[2].decode("latin-1")
    values = parse_qs(query, keep_blank_values=True, encoding="latin-1").get("cmd")
    return values[-1].encode("latin-1") or None if values else None
