"""Converts the head of an HTTP request to the form in which it travels to a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.repository.web_calls import WebRequest

if TYPE_CHECKING:
    from wiredaemon.net.hosting.collection import Names
    from wiredaemon.net.http.request import StreamingRequest

_PORTS: Final = {False: 80, True: 443}
"""The default port of a URL, by whether the connection is secure."""


def web_request(
    request: StreamingRequest, prefix: Names, rest: Names, *, may_pull: bool = True
) -> WebRequest:
    """Return a request's head as the worker's WSGI application needs it.

    Args:
        request: The request, whose head is complete.
        prefix: The components of the repository's path.
        rest: The components behind it.
        may_pull: The peer may pull.
    """
    peer = request.peer()
    identification = request.identification
    # Anybody can send it; REMOTE_USER has the name if it was a proxy.
    left_out = b"" if identification is None else identification.user_header
    headers = tuple(
        (name, value)
        for name, values in request.requestHeaders.getAllRawHeaders()
        for value in values
        if name.lower() != left_out
    )
    name, port = _host_and_port(request, is_secure=peer.is_secure)
    return WebRequest(
        method=request.method,
        script_name=b"".join(b"/" + each for each in prefix),
        path_info=b"".join(b"/" + each for each in rest),
        query=request.uri.partition(b"?")[2],
        headers=headers,
        is_secure=peer.is_secure,
        server_name=name,
        server_port=port,
        remote_address=peer.address.rpartition(":")[0].encode(),
        has_body=request.content_length != 0,
        may_pull=may_pull,
        content_length=request.content_length,
    )


def _host_and_port(request: StreamingRequest, *, is_secure: bool) -> tuple[bytes, int]:
    """Return the address of our end; the Host header travels with the other headers."""
    address = request.channel.getHost()
    # A Unix socket has neither host nor port, and WSGI requires both (PEP 3333).
    host = getattr(address, "host", None) or "localhost"
    return host.encode(), getattr(address, "port", _PORTS[is_secure])
