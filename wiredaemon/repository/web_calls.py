"""One HTTP request as it travels to a worker: both sides import this.

The daemon has decided on TLS, on the user and on the permission; the worker runs Mercurial's own
web application for it (``web``). User and permission travel in the `CallContext`, the body as
command data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from wiredaemon.commands import CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.wire.values import Value

WEB: Final = b"web"
"""Private command: returns an HTTP response, a map followed by byte strings."""

Header: TypeAlias = tuple[bytes, bytes]
"""Name and value, as received."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRequest:
    """The head of an HTTP request to one repository."""

    method: bytes
    script_name: bytes = b""
    """The repository's part of the path, the front one, percent-decoded; ``b"/team/repo"``."""
    path_info: bytes = b""
    """The rest of the path, percent-decoded: empty or with a slash in front."""
    query: bytes = b""
    """The part after ``?``, as received."""
    headers: tuple[Header, ...] = ()
    is_secure: bool = False
    """The request came over TLS."""
    server_name: bytes
    """The host by which the client knows us, that of IPv6 in brackets."""
    server_port: int
    public_scheme: bytes | None = None
    """The scheme of the URL by which the client knows us; None if it is as `is_secure` says."""
    public_path: bytes | None = None
    """The repository's part of the path that the client knows, as `script_name`; None if it is
    that."""
    remote_address: bytes = b""
    """The peer's host, without port."""
    has_body: bool = False
    """Command data follow."""
    may_pull: bool = True
    """The peer may pull, which pages need not: those of extensions may ask for it."""
    content_length: int | None = None
    """The size of the body in bytes, if it was declared."""

    def encode(self) -> Mapping[bytes, Value]:
        """Return the arguments of the command."""
        return {
            b"method": self.method,
            b"script_name": self.script_name,
            b"path_info": self.path_info,
            b"query": self.query,
            b"headers": [[name, value] for name, value in self.headers],
            b"is_secure": self.is_secure,
            b"server_name": self.server_name,
            b"server_port": self.server_port,
            b"public_scheme": self.public_scheme,
            b"public_path": self.public_path,
            b"remote_address": self.remote_address,
            b"has_body": self.has_body,
            b"may_pull": self.may_pull,
            b"content_length": self.content_length,
        }

    @classmethod
    def parse(cls, arguments: object) -> WebRequest:
        """Read the arguments of the command.

        Raises:
            CommandError: They are not as ``encode`` returns them.
        """
        match arguments:
            case {
                b"method": bytes() as method,
                b"script_name": bytes() as script_name,
                b"path_info": bytes() as path_info,
                b"query": bytes() as query,
                b"headers": list() as headers,
                b"is_secure": bool() as is_secure,
                b"server_name": bytes() as server_name,
                b"server_port": int() as server_port,
                b"public_scheme": (bytes() | None) as public_scheme,
                b"public_path": (bytes() | None) as public_path,
                b"remote_address": bytes() as remote_address,
                b"has_body": bool() as has_body,
                b"may_pull": bool() as may_pull,
                b"content_length": (int() | None) as content_length,
            }:
                return cls(
                    method=method,
                    script_name=script_name,
                    path_info=path_info,
                    query=query,
                    headers=tuple(map(_header, headers)),
                    is_secure=is_secure,
                    server_name=server_name,
                    server_port=server_port,
                    public_scheme=public_scheme,
                    public_path=public_path,
                    remote_address=remote_address,
                    has_body=has_body,
                    may_pull=may_pull,
                    content_length=content_length,
                )
            case _:
                raise CommandError("the request is no proper web request")


def _header(item: object) -> Header:
    match item:
        case [bytes() as name, bytes() as value]:
            return name, value
        case _:
            raise CommandError("the request is no proper web request")
