"""Converts the head of an HTTP request to the form in which it travels to a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.repository.web_calls import WebRequest

if TYPE_CHECKING:
    from wiredaemon.net.hosting.collection import Names
    from wiredaemon.net.http.public_urls import PublicUrl
    from wiredaemon.net.http.request import StreamingRequest


def web_request(
    request: StreamingRequest,
    prefix: Names,
    rest: Names,
    public: PublicUrl,
    *,
    may_pull: bool = True,
) -> WebRequest:
    """Return a request's head as the worker's WSGI application needs it.

    Args:
        request: The request, whose head is complete.
        prefix: The components of the repository's path.
        rest: The components after it.
        public: The URL by which the client knows the repository.
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
    return WebRequest(
        method=request.method,
        script_name=b"".join(b"/" + each for each in prefix),
        path_info=b"".join(b"/" + each for each in rest),
        query=request.uri.partition(b"?")[2],
        headers=headers,
        is_secure=peer.is_secure,
        server_name=public.host,
        server_port=public.port,
        public_scheme=public.scheme,
        public_path=public.path,
        remote_address=peer.address.rpartition(":")[0].encode(),
        has_body=request.content_length != 0,
        may_pull=may_pull,
        content_length=request.content_length,
    )
