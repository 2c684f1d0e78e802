"""``json`` below a repository's path: the commands, and the document that describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.web.resource import Resource

from wiredaemon.net.http.application import decide
from wiredaemon.net.http.responses import HttpResponse, no_such_method
from wiredaemon.net.json.arguments import WrongArgumentsError, read_object, read_query
from wiredaemon.net.json.body import ArgumentsBody
from wiredaemon.net.json.exchange import JsonExchange
from wiredaemon.net.json.forms import DOCUMENT
from wiredaemon.net.json.openapi import Logins, openapi_document
from wiredaemon.net.json.problems import (
    PLAIN_HEADERS,
    as_problem,
    methods_here,
    unknown,
    wrong_method,
    wrong_request,
)
from wiredaemon.net.json.rules import (
    DIALECT,
    TIMEOUT,
    Call,
    CallHead,
    check_call,
    check_reading,
)
from wiredaemon.net.responding.context import Origin
from wiredaemon.wire.json_values import write_json

if TYPE_CHECKING:
    from wiredaemon.commands import Value
    from wiredaemon.net.hosting.collection import Names
    from wiredaemon.net.hosting.host import Host, Settings
    from wiredaemon.net.http.application import Application
    from wiredaemon.net.http.request import StreamingRequest

NAME: Final = b"json"
"""The component of a path in front of the commands."""
_DOCUMENT: Final = b"openapi.json"
_READ: Final = (b"GET", b"HEAD")


class JsonResource(Resource):
    """``json`` and the paths below, for one host."""

    isLeaf = True

    def __init__(
        self, application: Application, host: Host, path: Names, place: Names | None
    ) -> None:
        """Stand for a path.

        Args:
            application: The application that all resources share.
            host: The host at the path in front of ``json``.
            path: The components after ``json``.
            place: The components in front of it; None where only the client knows them.
        """
        super().__init__()
        self._application = application
        self._host = host
        self._path = path
        self._place = place

    shows = staticmethod(as_problem)
    """What `StreamingRequest.shows` is for requests of this resource."""

    def headers_received(self, request: StreamingRequest) -> None:
        """Decide as soon as the host's settings are known."""
        decide(request, self._host, self._on_settings)

    def _on_settings(self, request: StreamingRequest, settings: Settings) -> None:
        switches = settings.switches
        if not (switches.enabled and switches.json):
            # As a page that hgweb does not know.
            request.shows = None
            request.answer(no_such_method(NAME))
        elif self._path in {(), (b"",)}:
            self._answer_page(request, settings, _redirect(request))
        elif self._path == (_DOCUMENT,):
            self._answer_page(request, settings, None)
        elif len(self._path) == 1:
            self._call(request, settings)
        else:
            request.answer(unknown(b"a command's name is one component of the path"))

    # --- the document ------------------------------------------------------------------------

    def _answer_page(
        self, request: StreamingRequest, settings: Settings, redirect: HttpResponse | None
    ) -> None:
        refused = check_reading(settings.access, request.peer())
        if refused is None and request.method not in _READ:
            is_question = request.method == b"OPTIONS"
            refused = methods_here(_READ) if is_question else wrong_method(_READ)
        request.answer(refused or redirect or self._document(request, settings))

    def _document(self, request: StreamingRequest, settings: Settings) -> HttpResponse:
        identification = self._application.identification
        has_logins = identification is not None and identification.is_open
        tokens = identification is not None and identification.accepts_tokens
        document = openapi_document(
            self._host.registry,
            settings,
            request.peer(),
            url=self._url(request),
            logins=Logins(passwords=has_logins, tokens=tokens),
        )
        headers = ((b"Content-Type", DOCUMENT), *PLAIN_HEADERS)
        body = write_json(document) + b"\n"
        return HttpResponse(status=200, reason=b"OK", headers=headers, body=body)

    def _url(self, request: StreamingRequest) -> str:
        """Return the URL of ``json`` for the client, without a slash at its end."""
        if self._place is None:
            path = request.uri.partition(b"?")[0].rstrip(b"/")
            return path.removesuffix(b"/" + _DOCUMENT).decode("ascii", "replace")
        names = (*self._place, NAME)
        return self._application.public_urls.seen_by(request).link(names).rstrip("/")

    # --- a command ---------------------------------------------------------------------------

    def _call(self, request: StreamingRequest, settings: Settings) -> None:
        peer = request.peer()
        call = check_call(self._host.registry, settings.access, self._head(request), peer)
        if isinstance(call, HttpResponse):
            request.answer(call)
            return
        origin = Origin(
            host=self._host,
            settings=settings,
            framings=(DIALECT,),
            dialect=DIALECT,
            peer=peer,
            permission=call.command.permission,
        )
        if call.query is not None:
            try:
                arguments = read_query(call.command, call.query)
            except WrongArgumentsError as error:
                request.answer(wrong_request(str(error)))
                return
            request.body.claim(self._exchange(request, call, origin, arguments))
            return

        def complete(content: bytearray | memoryview) -> JsonExchange | None:
            try:
                given = read_object(call.command, content, self._application.limits)
            except WrongArgumentsError as error:
                request.answer(wrong_request(str(error)))
                return None
            return self._exchange(request, call, origin, given)

        ArgumentsBody(request, complete).start()

    def _exchange(
        self, request: StreamingRequest, call: Call, origin: Origin, arguments: dict[bytes, Value]
    ) -> JsonExchange:
        return JsonExchange(request, call, origin, self._application, arguments)

    def _head(self, request: StreamingRequest) -> CallHead:
        _, mark, query = request.uri.partition(b"?")
        return CallHead(
            method=request.method,
            name=self._path[0],
            query=query if mark else None,
            accept=_joined(request, b"Accept"),
            content_type=_joined(request, b"Content-Type"),
            content_encoding=request.header(b"Content-Encoding"),
            timeout=_joined(request, TIMEOUT),
            last_event_id=request.header(b"Last-Event-ID"),
            has_body=request.body.declared != 0,
        )


def _joined(request: StreamingRequest, name: bytes) -> bytes | None:
    """Return all lines of a header, as those of one list (RFC 9110, 5.3)."""
    values = request.requestHeaders.getRawHeaders(name)
    return b",".join(values) if values else None


def _redirect(request: StreamingRequest) -> HttpResponse:
    """Return what leads from ``json`` to the document, in whatever folder a proxy shows it."""
    is_folder = request.uri.partition(b"?")[0].endswith(b"/")
    location = _DOCUMENT if is_folder else NAME + b"/" + _DOCUMENT
    headers = ((b"Location", location), *PLAIN_HEADERS)
    return HttpResponse(status=302, reason=b"Found", headers=headers)
