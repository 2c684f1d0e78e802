"""The URL that Mercurial's pages make their links with: ``web.baseurl``, else the client's own.

The setting means what it means in hgwebdir: it stands for the root of all paths, so that the
repository's own path follows. It may have a path alone.

Source: hg help config.web.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes, urlsplit

from wiredaemon.worker.library import hgweb_request

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from wiredaemon.repository.web_calls import WebRequest
    from wiredaemon.worker.wsgi import Application, StartResponse

PORTS: Final = {b"http": 80, b"https": 443}
"""The schemes of such URLs, and the port that a URL of each need not name."""


def with_base(request: WebRequest, base: bytes | None) -> WebRequest:
    """Return a request as it would be if the client had asked for the base of a setting.

    Args:
        request: The head of the request.
        base: The value of ``web.baseurl``; whatever is no URL or path there changes nothing.
    """
    if not base:
        return request
    try:
        parts = urlsplit(base.decode("latin-1").strip())
        port = parts.port
    except ValueError:
        return request
    scheme = parts.scheme.encode("latin-1") or scheme_of(request)
    if scheme not in PORTS:
        return request
    path = unquote_to_bytes(parts.path.encode("latin-1")).strip(b"/")
    placed = replace(
        request,
        public_scheme=scheme,
        public_path=(b"/" + path if path else b"") + request.script_name,
    )
    host = parts.netloc.rpartition("@")[2]
    if not host:
        return placed
    if port is not None:
        host = host.rpartition(":")[0]
    name = host.rstrip(":").encode("latin-1")
    return replace(placed, server_name=name, server_port=port or PORTS[scheme])


def scheme_of(request: WebRequest) -> bytes:
    """Return the scheme of the URL by which the client knows us."""
    if request.public_scheme is not None:
        return request.public_scheme
    return b"https" if request.is_secure else b"http"


def authority_of(request: WebRequest) -> bytes:
    """Return host and port of that URL; without the port if it is that of the scheme."""
    if PORTS.get(scheme_of(request)) == request.server_port:
        return request.server_name
    return b"%s:%d" % (request.server_name, request.server_port)


def asked_over(application: Any, *, is_secure: bool) -> Application:  # noqa: ANN401 of the library
    """Return an application that tells hooks how the client asks, whatever links say.

    Args:
        application: Mercurial's.
        is_secure: The request came over TLS.
    """

    def run(variables: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        parsed = hgweb_request.parserequestfromenv(variables)
        known = vars(parsed) | {"urlscheme": b"https" if is_secure else b"http"}
        parsed = type(parsed)(**known)
        response = hgweb_request.wsgiresponse(parsed, start_response)
        pieces: Iterable[bytes] = application.run_wsgi(parsed, response)
        return pieces

    return run
