"""Who may do what over version 1 and on pages, from a request's head: http 4 and 5, as a table."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Final

import pytest

from wiredaemon.commands import Peer, Permission
from wiredaemon.net.hgweb.rules import HgwebHead, check_head
from wiredaemon.net.hosting.access import AccessRules, ApiSwitches
from wiredaemon.net.hosting.host import Settings
from wiredaemon.net.http.responses import TEXT_PLAIN, HttpResponse

RO, RW = Permission.RO, Permission.RW
VERSION1: Final = {
    b"heads": b"pull",
    b"getbundle": b"pull",
    b"batch": b"pull",
    b"unbundle": b"push",
    b"pushkey": b"push",
}
METHODS: Final = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"BREW")
KNOWN: Final = (b"GET", b"HEAD", b"POST")
PUSHES: Final = (b"unbundle", b"pushkey")
PULLS: Final = (b"heads", b"getbundle")
PAGES: Final = (None, b"changelog", b"annotate", b"")
COMMANDS: Final = (*PUSHES, *PULLS, b"batch", *PAGES)

ANYBODY: Final = Peer(address="10.0.0.1:99")
SECURE: Final = Peer(address="10.0.0.1:99", is_secure=True)
ANN: Final = Peer(address="10.0.0.1:99", user="ann", is_secure=True)
PEERS: Final = (ANYBODY, SECURE, ANN)

OPEN: Final = AccessRules(push_ssl=False, allow_push=("*",))


def check(  # the columns of the table
    command: bytes | None,
    method: bytes = b"GET",
    access: AccessRules = OPEN,
    peer: Peer = ANYBODY,
) -> HttpResponse | Permission:
    settings = Settings(switches=ApiSwitches(), access=access, version1=VERSION1)
    head = HgwebHead(method=method, command=command)
    return check_head(head, settings, peer)


def refused(status: int, message: bytes) -> HttpResponse:
    """What Mercurial's clients of version 1 read."""
    return HttpResponse(status=status, reason=message, headers=(), body=b"0\n" + message + b"\n")


NOT_POSTED: Final = replace(
    refused(405, b"push requires POST request"), headers=((b"Allow", b"POST"),)
)


def not_allowed(method: bytes, allowed: bytes = b"GET, HEAD, POST") -> HttpResponse:
    """What a method gets that a page does not know."""
    is_unknown = method == b"BREW"
    return HttpResponse(
        status=501 if is_unknown else 405,
        reason=b"Not Implemented" if is_unknown else b"Method Not Allowed",
        headers=(TEXT_PLAIN, (b"Allow", allowed)),
        body=b"the methods here are %s\n" % allowed,
    )


def page(status: int, message: bytes) -> HttpResponse:
    return HttpResponse(status=status, reason=message, headers=(TEXT_PLAIN,), body=message + b"\n")


# --- all that is open ----------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("command", COMMANDS)
def test_where_everything_is_open_only_the_method_decides(
    command: bytes | None, method: bytes
) -> None:
    granted: HttpResponse | Permission
    if command in PUSHES:
        granted = RW if method == b"POST" else NOT_POSTED
    elif method not in KNOWN:
        granted = not_allowed(method)
    elif command in PULLS or method in {b"GET", b"HEAD"}:
        granted = RO
    else:
        granted = RW
    assert check(command, method) == granted


# --- the right to push ---------------------------------------------------------------------------


@pytest.mark.parametrize("command", PUSHES)
@pytest.mark.parametrize(
    ("access", "peer", "expected"),
    [
        (AccessRules(), ANYBODY, refused(403, b"ssl required")),
        (AccessRules(), SECURE, refused(401, b"push not authorized")),
        (AccessRules(allow_push=("*",)), ANYBODY, refused(403, b"ssl required")),
        (AccessRules(allow_push=("*",)), SECURE, RW),
        (AccessRules(allow_push=("ann",)), SECURE, refused(401, b"push not authorized")),
        (AccessRules(allow_push=("ann",)), ANN, RW),
        (AccessRules(allow_push=("bob",)), ANN, refused(403, b"push not authorized")),
        (
            AccessRules(allow_push=("*",), deny_push=("ann",)),
            ANN,
            refused(403, b"push not authorized"),
        ),
        (AccessRules(allow_push=("*",), allow_pull=False), ANN, RW),
    ],
)
def test_a_push_needs_the_right_for_it(
    command: bytes, access: AccessRules, peer: Peer, expected: HttpResponse | Permission
) -> None:
    assert check(command, b"POST", access, peer) == expected


@pytest.mark.parametrize(("command", "method"), list(product(PUSHES, [b"GET", b"HEAD", b"PUT"])))
def test_the_method_of_a_push_is_looked_at_before_the_right(command: bytes, method: bytes) -> None:
    assert check(command, method, AccessRules()) == NOT_POSTED


@pytest.mark.parametrize(("command", "peer"), list(product((b"batch", *PAGES), PEERS)))
def test_what_may_hold_a_push_is_carried_out_with_no_more_than_the_right_to_read(
    command: bytes | None, peer: Peer
) -> None:
    for method in KNOWN:
        assert check(command, method, AccessRules(), peer) is RO
        restricted = AccessRules(allow_push=("ann",))
        may_write = peer is ANN and method not in {b"GET", b"HEAD"}
        assert check(command, method, restricted, peer) is (RW if may_write else RO)


@pytest.mark.parametrize("command", PULLS)
def test_a_pull_is_never_given_more_than_the_right_to_read(command: bytes) -> None:
    assert check(command, b"POST", OPEN, ANN) is RO


# --- the right to pull and to read ---------------------------------------------------------------


@pytest.mark.parametrize(("command", "method"), list(product((*PULLS, b"batch"), METHODS)))
def test_without_pull_no_command_is_carried_out(command: bytes, method: bytes) -> None:
    access = AccessRules(allow_pull=False, allow_push=("*",))
    assert check(command, method, access, ANN) == refused(403, b"pull not authorized")
    assert check(command, method, access, SECURE) == refused(401, b"pull not authorized")


@pytest.mark.parametrize("command", PAGES)
def test_without_pull_pages_are_still_shown(command: bytes | None) -> None:
    assert check(command, b"GET", AccessRules(allow_pull=False)) is RO


@pytest.mark.parametrize(
    ("access", "peer"),
    [
        (AccessRules(deny_read=("*",)), ANN),
        (AccessRules(deny_read=("bob",)), ANYBODY),
        (AccessRules(allow_read=("bob",)), ANN),
        (AccessRules(allow_read=("ann",)), SECURE),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_who_may_not_read_is_told_that_first_of_all(
    access: AccessRules, peer: Peer, method: bytes
) -> None:
    for command in COMMANDS:
        answer = check(command, method, access, peer)
        form = page if command in PAGES and method != b"PUT" else refused
        assert answer == form(403 if peer is ANN else 401, b"read not authorized")


def test_who_is_allowed_to_read_may() -> None:
    access = AccessRules(allow_read=("ann",), deny_read=("bob",))
    assert check(None, b"GET", access, ANN) is RO
    assert check(b"heads", b"GET", access, ANN) is RO


# --- pages of extensions -------------------------------------------------------------------------

OBJECT: Final = (b".hg", b"lfs", b"objects", b"0" * 64)
OBJECT_BATCH: Final = (b".git", b"info", b"lfs", b"objects", b"batch")


def check_page(
    rest: tuple[bytes, ...], method: bytes, access: AccessRules, peer: Peer
) -> HttpResponse | Permission:
    settings = Settings(switches=ApiSwitches(), access=access, version1=VERSION1)
    return check_head(HgwebHead(method=method, command=None, rest=rest), settings, peer)


@pytest.mark.parametrize(("rest", "method"), [(OBJECT, b"GET"), (OBJECT_BATCH, b"POST")])
def test_objects_of_lfs_need_the_right_to_pull(rest: tuple[bytes, ...], method: bytes) -> None:
    closed = AccessRules(allow_pull=False)
    assert check_page(rest, method, closed, SECURE) == refused(401, b"pull not authorized")
    assert check_page(rest, method, closed, ANN) == refused(403, b"pull not authorized")
    assert check_page(rest, method, AccessRules(), ANYBODY) is RO


@pytest.mark.parametrize("name", [b"log", b"raw-file", b"atom-log", b"static", b"archive"])
@pytest.mark.parametrize("method", [b"PUT", b"DELETE", b"OPTIONS", b"PROPFIND"])
def test_no_page_is_shown_to_a_method_that_it_does_not_know(name: bytes, method: bytes) -> None:
    answer = check_page((name, b"tip"), method, OPEN, ANN)
    assert isinstance(answer, HttpResponse)
    assert answer.status == (501 if method == b"PROPFIND" else 405)
    assert (b"Allow", b"GET, HEAD, POST") in answer.headers
    refusal = check_page((name, b"tip"), method, AccessRules(deny_read=("ann",)), ANN)
    assert isinstance(refusal, HttpResponse)
    assert refusal.reason == b"read not authorized"


def test_pages_of_extensions_take_what_is_put_there_and_nothing_else() -> None:
    for rest in (OBJECT, (b"page", b"of", b"theirs")):
        assert check_page(rest, b"PUT", OPEN, ANN) is RW
        expected = not_allowed(b"DELETE", b"GET, HEAD, POST, PUT")
        assert check_page(rest, b"DELETE", OPEN, ANN) == expected


def test_objects_of_lfs_are_pushed_with_the_right_to_push_alone() -> None:
    for access, peer, expected in (
        (AccessRules(allow_push=("*",)), ANYBODY, refused(403, b"ssl required")),
        (AccessRules(), SECURE, refused(401, b"push not authorized")),
        (AccessRules(deny_read=("*",)), SECURE, refused(401, b"read not authorized")),
        (AccessRules(allow_push=("*",), allow_pull=False), SECURE, RW),
        (OPEN, ANYBODY, RW),
    ):
        assert check_page(OBJECT, b"PUT", access, peer) == expected


# --- commands of extensions ----------------------------------------------------------------------


def test_what_a_command_needs_is_what_the_worker_said_of_it() -> None:
    settings = Settings(
        switches=ApiSwitches(), access=AccessRules(), version1={b"largefile": b"push"}
    )
    head = HgwebHead(method=b"POST", command=b"largefile")
    assert check_head(head, settings, SECURE) == refused(401, b"push not authorized")
    head = HgwebHead(method=b"POST", command=b"unbundle")
    assert check_head(head, settings, SECURE) is RO
