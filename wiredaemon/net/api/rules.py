"""Decides on request heads below ``api``, by pure functions, before the body is read.

Source: http, sections 3.1 to 3.3 (the rows are those of section 3.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from wiredaemon.commands import Permission
from wiredaemon.net.hosting.access import authorize
from wiredaemon.net.http.responses import HttpResponse, denied, no_such_method, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from wiredaemon.commands import Command, Peer
    from wiredaemon.commands.registry import Registry
    from wiredaemon.net.hosting.access import AccessRules, ApiSwitches
    from wiredaemon.net.http.application import Api
    from wiredaemon.wire.dialects import Dialect

MULTIREQUEST: Final = b"multirequest"
DEBUGREFLECT: Final = b"debugreflect"
_OK, _FORBIDDEN, _MISSING = 200, 403, 404


class CommandHead(NamedTuple):
    """The head of a request for a command.

    A tuple, because it is part of a key in the cache of decisions, and a tuple is hashed in C.
    """

    method: bytes
    permission: bytes
    command: bytes
    accept: bytes | None
    content_type: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The decision to process a request's body as frames."""

    dialect: Dialect
    permission: Permission
    command: bytes
    """The name in the URL."""
    declaration: Command | None
    """The command of that name; None for a multirequest."""
    framings: Sequence[Dialect]
    """All framings of the API, the preferred one first."""
    # Decided with the head, which is remembered: deciding for each frame takes 0.4 us of 4.7.
    commands: Mapping[bytes, Command]
    """The commands that a multirequest may run, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reflected:
    """The decision to show a request's body, frame by frame."""

    dialect: Dialect


def insufficient_permissions(command: bytes) -> HttpResponse:
    """Return the response to a command that the URL's permission does not cover."""
    body = b"insufficient permissions to execute command: " + command
    return text(_FORBIDDEN, b"Forbidden", body)


def check_api_path(  # noqa: PLR0911 one return for each row of the table
    apis: Sequence[Api], switches: ApiSwitches, path: Sequence[bytes]
) -> HttpResponse | Api:
    """Return the API whose command a path below ``api`` names, or a fixed response.

    These are rows 1 to 6 of the table in the source.

    Args:
        apis: All configured APIs.
        switches: The repository's switches.
        path: The components after ``api``.
    """
    # Row 1: hgweb's answer to a page that it does not know.
    if not switches.enabled:
        return no_such_method(b"api")
    enabled = sorted(api.name for api in apis) if switches.http_v2 else []
    # Row 2.
    if not path:
        return _index(enabled)
    name, *rest = path
    api = next((known for known in apis if known.name == name), None)
    # Rows 3 and 4: an API that the configuration leaves out is unknown, one that is off says so.
    if api is None:
        body = b"Unknown API: %s\nKnown APIs: %s" % (name, b", ".join(enabled))
        return text(_MISSING, b"Not Found", body)
    if not switches.http_v2:
        return text(_MISSING, b"Not Found", b"API %s not enabled\n" % name)
    # Row 5 is not authorized; row 6: a permission without a command names no page.
    if not rest:
        return text(_OK, b"OK", b"HTTP version 2 API handler")
    if len(rest) == 1:
        shown = b"/".join([b"api", *path])
        return text(_MISSING, b"Not Found", b"do not know how to process %s\n" % shown)
    return api


def _index(enabled: Iterable[bytes]) -> HttpResponse:
    names = b"\n".join(enabled) or b"(no available APIs)\n"
    head = b"APIs can be accessed at /api/<name>, where <name> can be one of the following:\n\n"
    return text(_OK, b"OK", head + names)


def check_command(  # noqa: PLR0913, PLR0917 all that decides
    api: Api,
    switches: ApiSwitches,
    rules: AccessRules,
    registry: Registry,
    head: CommandHead,
    peer: Peer,
) -> HttpResponse | Accepted | Reflected:
    """Decide on a request for a command by its head alone: rows 7 to 14 of the table."""
    # Row 7.
    try:
        permission = Permission(head.permission.decode("ascii", "replace"))
    except ValueError:
        body = b"unknown permission: " + head.permission
        return text(_MISSING, b"Not Found", body)
    # Row 8.
    # Before the permission: a GET tells nobody whether a command could be run (http, section 3.1).
    if head.method != b"POST":
        body = b"commands require POST requests"
        # No Content-Type, as the transcripts have it.
        headers = ((b"Allow", b"POST"),)
        return HttpResponse(status=405, reason=b"Method Not Allowed", headers=headers, body=body)
    # Row 9: what is authorized is the permission in the URL, whatever the command needs.
    denial = authorize(rules, permission, peer)
    if denial is not None:
        return denied(denial)
    # Row 10.
    if head.command == DEBUGREFLECT:
        return _check_reflection(api, switches, head)
    # Rows 11 and 12 come before the media types. A command is known or not in one dialect, so where
    # Accept names none, the API's first one counts.
    dialect = api.speaking(head.accept) or api.framings[0]
    declaration = None
    if head.command != MULTIREQUEST:
        declaration = registry.find(head.command, dialect)
        answer = _check_name(declaration, permission, head.command)
        if answer is not None:
            return answer
    # Rows 13 and 14.
    answer = _check_media_types(api, head)
    return answer or Accepted(
        dialect=dialect,
        permission=permission,
        command=head.command,
        declaration=declaration,
        framings=api.framings,
        commands=_covered(registry, dialect, permission) if declaration is None else {},
    )


def _check_reflection(
    api: Api, switches: ApiSwitches, head: CommandHead
) -> HttpResponse | Reflected:
    if not switches.debugreflect:
        return text(_MISSING, b"Not Found", b"debugreflect service not available")
    return Reflected(dialect=api.speaking(head.content_type) or api.framings[0])


def _check_name(
    command: Command | None, permission: Permission, name: bytes
) -> HttpResponse | None:
    if command is None:
        return text(_MISSING, b"Not Found", b"unknown wire protocol command: %s\n" % name)
    if not command.exposed:
        return text(_MISSING, b"Not Found", b"invalid wire protocol command: %s" % name)
    if not permission.covers(command.permission):
        return insufficient_permissions(name)
    return None


def _covered(registry: Registry, dialect: Dialect, permission: Permission) -> dict[bytes, Command]:
    """Return the exposed commands that a permission covers, by name."""
    return {
        command.name.encode(): command
        for command in registry.exposed(dialect)
        if permission.covers(command.permission)
    }


def _check_media_types(api: Api, head: CommandHead) -> HttpResponse | None:
    # Exactly one name, no list and no parameters: Mercurial's servers accept nothing else (http,
    # section 3.3).
    dialect = api.speaking(head.accept)
    if dialect is None:
        wanted = api.framings[0].media_type
        body = b"client MUST specify Accept header with value: %s\n" % wanted
        return text(406, b"Not Acceptable", body)
    if not _names(head.content_type, dialect):
        body = b"client MUST send Content-Type header with value: %s\n" % dialect.media_type
        return text(415, b"Unsupported Media Type", body)
    return None


def _names(content_type: bytes | None, dialect: Dialect) -> bool:
    # Mercurial's servers on Python 3 compared so, and those of the older eras by the letter (http,
    # section 3.3).
    if content_type is not None and dialect.loose_content_type:
        content_type = content_type.partition(b";")[0].strip().lower()
    return content_type == dialect.media_type
