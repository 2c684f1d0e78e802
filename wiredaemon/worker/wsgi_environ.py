"""The environment that a WSGI application is given for one request.

Source: PEP 3333; RFC 3875, section 4.1.
"""

from __future__ import annotations

import io
import re
import sys
from typing import TYPE_CHECKING, Any, Final, Protocol

from wiredaemon.worker.public_links import authority_of, scheme_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wiredaemon.repository.web_calls import Header, WebRequest

_READ_AHEAD: Final = 65536
"""Bytes of the request's body that are read at once."""

_UNDECLARED: Final = 1 << 62
"""Stands for the length of a body whose length was not declared.

An application reads as far as the length says, and nothing if there is none; our input ends by
itself.
"""

_NAME: Final = re.compile(rb"[A-Za-z0-9-]+")
"""Header names that become a variable; ``X_Y`` would pass for ``X-Y``, and is left out."""

_NOT_FORWARDED: Final = frozenset(
    (
        # The daemon has used them, and programs that are started should not see them.
        b"authorization",
        b"proxy-authorization",
        # As HTTP_PROXY it would set the proxy of programs that are started (CVE-2016-5385).
        b"proxy",
        # They have variables of their own.
        b"content-length",
        b"content-type",
    )
)


class Readable(Protocol):
    """The body of a request as it arrives."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes as soon as there are any; none at the end."""


def environ(request: WebRequest, *, user: str | None, body: Readable) -> dict[str, Any]:
    """Return the environment of a request: bytes as text in ISO-8859-1, as PEP 3333 says.

    Args:
        request: The head of the request.
        user: The value of ``REMOTE_USER``, in UTF-8; None leaves it out.
        body: The body, for ``wsgi.input``; more may be read than the application asked for.
    """
    path = request.public_path
    variables = {
        b"REQUEST_METHOD": request.method,
        b"SCRIPT_NAME": request.script_name if path is None else path,
        b"PATH_INFO": request.path_info,
        b"QUERY_STRING": request.query,
        b"SERVER_NAME": request.server_name,
        b"SERVER_PORT": b"%d" % request.server_port,
        b"SERVER_PROTOCOL": b"HTTP/1.1",
        b"REMOTE_ADDR": request.remote_address,
        b"REMOTE_HOST": request.remote_address,
        **_header_variables(request.headers),
        # In place of what the client has sent: links are made of it.
        b"HTTP_HOST": authority_of(request),
    }
    if request.has_body:
        length = request.content_length
        variables[b"CONTENT_LENGTH"] = b"%d" % (_UNDECLARED if length is None else length)
    else:
        variables[b"CONTENT_LENGTH"] = b"0"
    if user is not None:
        variables[b"REMOTE_USER"] = user.encode("utf-8", "surrogateescape")
    native: dict[str, Any] = {
        name.decode("ascii"): value.decode("latin-1") for name, value in variables.items()
    }
    return native | {
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme_of(request).decode("ascii"),
        "wsgi.input": io.BufferedReader(_Input(body), _READ_AHEAD),
        "wsgi.errors": _ERRORS,
        # One request at a time in each of several processes.
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


def _header_variables(headers: Iterable[Header]) -> dict[bytes, bytes]:
    values: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if _NAME.fullmatch(name):
            values.setdefault(name.lower(), []).append(value)
    variables = {
        b"HTTP_" + name.upper().replace(b"-", b"_"): b",".join(several)
        for name, several in values.items()
        if name not in _NOT_FORWARDED
    }
    if b"content-type" in values:
        variables[b"CONTENT_TYPE"] = values[b"content-type"][0]
    return variables


class _Errors:
    """The log as an application writes to it: text as PEP 3333 says, bytes as Mercurial does."""

    def write(self, said: str | bytes) -> None:
        """Write to standard error, which the daemon logs."""
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        sys.stderr.write(text)

    def writelines(self, lines: Iterable[str | bytes]) -> None:
        """Write several."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write what waits."""
        sys.stderr.flush()


_ERRORS: Final = _Errors()


class _Input(io.RawIOBase):
    """A body with the interface of a file."""

    def __init__(self, body: Readable) -> None:
        super().__init__()
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401  typeshed's WriteableBuffer is for types only
        data = self._body.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
