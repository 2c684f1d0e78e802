"""Decides on the head of a call, by pure functions, before its body is read.

Refusals are worded as text; `problems.as_problem` makes JSON of all that leaves.

Source: docs/json.md; http, section 5.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from wiredaemon.commands import Permission
from wiredaemon.commands.argument_types import CONTAINERS
from wiredaemon.net.hosting.access import authorize, authorize_reading
from wiredaemon.net.http.responses import HttpResponse, denied_page
from wiredaemon.net.json.accepting import choose
from wiredaemon.net.json.forms import EVENTS, LAST_ID, OFFERED
from wiredaemon.net.json.problems import (
    methods_here,
    not_acceptable,
    unknown,
    wrong_media_type,
    wrong_method,
    wrong_request,
)
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.commands import Command, Peer
    from wiredaemon.commands.registry import Registry
    from wiredaemon.net.hosting.access import AccessRules

DIALECT: Final = DIALECTS["0006"]
"""Calls run as those of this dialect do: what it has no form for, JSON has none for either."""
ARGUMENTS: Final = b"application/json"
DATA: Final = b"application/octet-stream"
"""The media types of bodies. A page of another site can send neither of them without being asked
for its rights first, and gets none: a browser never sends such a call with a user's login."""
TIMEOUT: Final = b"Request-Timeout"
LONGEST: Final = 2_000_000
"""Seconds; the protocol counts milliseconds in 31 bits."""
_SECONDS: Final = re.compile(rb"[0-9]{1,7}(?:\.[0-9]{1,20})?")


class CallHead(NamedTuple):
    """The head of a request for a command."""

    method: bytes
    name: bytes
    """The name of the command, as the URL has it."""
    query: bytes | None = None
    """The part after the question mark; None where there is none."""
    accept: bytes | None = None
    content_type: bytes | None = None
    content_encoding: bytes | None = None
    timeout: bytes | None = None
    """All lines of the header, joined: with two of them it is no number, and is refused."""
    last_event_id: bytes | None = None
    has_body: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The decision to call a command, once its arguments are there."""

    command: Command
    media_type: bytes
    """That of the answer."""
    milliseconds: int | None
    """The time that the caller waits; None for ever."""
    query: bytes | None
    """The arguments, where they are in the query; None where they are in the body."""


def may_get(command: Command) -> bool:
    """Return whether a command can be called by a GET: it only reads, and a query says it all."""
    return (
        command.permission is Permission.RO
        and not command.has_data
        and not any(argument.type in CONTAINERS for argument in command.arguments.values())
    )


def methods_of(command: Command) -> Sequence[bytes]:
    """Return the methods that a command is called by."""
    return (b"GET", b"POST") if may_get(command) else (b"POST",)


def check_reading(rules: AccessRules, peer: Peer) -> HttpResponse | None:
    """Return the refusal of a peer that may not see what there is; None if it may."""
    denial = authorize_reading(rules, peer)
    return None if denial is None else denied_page(denial)


def check_call(
    registry: Registry, rules: AccessRules, head: CallHead, peer: Peer
) -> HttpResponse | Call:
    """Decide on a request for a command by its head alone."""
    # First, because names of commands are for those who may read.
    refused = check_reading(rules, peer)
    if refused is not None:
        return refused
    command = registry.find_exposed(head.name, DIALECT)
    if command is None:
        return unknown(b"there is no command %s; openapi.json has those that there are" % head.name)
    # A browser asks so for the rights of pages of other sites: they get none (RFC 9110, 9.3.7).
    methods = methods_of(command)
    if head.method == b"OPTIONS":
        return methods_here(methods)
    if head.method not in methods:
        return wrong_method(methods)
    denial = authorize(rules, command.permission, peer)
    if denial is not None:
        return denied_page(denial)
    return _check_form(command, head)


def _check_form(command: Command, head: CallHead) -> HttpResponse | Call:
    """Decide on the forms of a call that its peer may make."""
    media_type = choose(head.accept, OFFERED)
    if media_type is None:
        return not_acceptable(OFFERED)
    if media_type == EVENTS and head.last_event_id == LAST_ID:
        # The answer that makes a browser stop (HTML's server-sent events).
        return HttpResponse(status=204, reason=b"No Content", headers=())
    refused = _check_body(command, head)
    if refused is not None:
        return refused
    milliseconds = None
    if head.timeout is not None:
        milliseconds = _milliseconds(head.timeout)
        if not milliseconds:
            return wrong_request(f"Request-Timeout must be seconds, from 0.001 to {LONGEST}, once")
    is_in_query = command.has_data or head.method == b"GET"
    return Call(
        command=command,
        media_type=media_type,
        milliseconds=milliseconds,
        query=(head.query or b"") if is_in_query else None,
    )


def _milliseconds(seconds: bytes) -> int:
    """Return the milliseconds of a timeout; 0 if it is none."""
    if not _SECONDS.fullmatch(seconds):
        return 0
    milliseconds = round(float(seconds) * 1000)
    return milliseconds if milliseconds <= LONGEST * 1000 else 0


def _check_body(command: Command, head: CallHead) -> HttpResponse | None:
    if head.content_encoding not in {None, b"identity"}:
        return wrong_media_type(b"bodies must have no content encoding", _wanted(command))
    if head.method == b"GET":
        return wrong_request("a GET has no body") if head.has_body else None
    if not _names(head.content_type, _wanted(command)):
        place = b"data, with the arguments in the query" if command.has_data else b"arguments"
        fault = b"the body must be %s, as Content-Type: %s" % (place, _wanted(command))
        return wrong_media_type(fault, _wanted(command))
    if head.query and not command.has_data:
        return wrong_request("the arguments of a POST are in its body: the query must be empty")
    return None


def _wanted(command: Command) -> bytes:
    return DATA if command.has_data else ARGUMENTS


def _names(content_type: bytes | None, wanted: bytes) -> bool:
    """Return whether a header names a media type, with no other parameter than UTF-8."""
    if content_type is None:
        return False
    media_type, _, parameters = content_type.lower().partition(b";")
    named = parameters.replace(b'"', b"").strip()
    return media_type.strip() == wanted and named in {b"", b"charset=utf-8"}
