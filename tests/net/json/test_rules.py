from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from support.responding import make_command
from support.web import OPEN

from wiredaemon.commands import Argument, ArgumentType, Command, Peer, Permission
from wiredaemon.commands.registry import Registry
from wiredaemon.net.hosting.access import AccessRules
from wiredaemon.net.http.responses import HttpResponse
from wiredaemon.net.json.rules import Call, CallHead, check_call, may_get, methods_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_T = ArgumentType
DOCUMENT: Final = b"application/json"
STREAM: Final = b"application/octet-stream"
NOBODY: Final = Peer(address="10.0.0.1:9")
SECURE: Final = Peer(address="10.0.0.1:9", is_secure=True)


def read(context: Any, **given: object) -> None:
    """Do nothing."""


def write(context: Any) -> None:
    """Do nothing."""


def upload(context: Any, **given: object) -> None:
    """Do nothing."""


def search(context: Any, **given: object) -> None:
    """Do nothing."""


def hidden(context: Any) -> None:
    """Do nothing."""


READ: Final = make_command(read, arguments={"n": Argument(type=_T.INT, default=0)})
WRITE: Final = Command(name="write", permission=Permission.RW, function=write)
UPLOAD: Final = make_command(
    upload, has_data=True, arguments={"names": Argument(type=_T.LIST, default=())}
)
SEARCH: Final = make_command(search, arguments={"all": Argument(type=_T.SET, default=frozenset())})
REGISTRY: Final = Registry([READ, WRITE, UPLOAD, SEARCH, make_command(hidden, exposed=False)])


def decided(
    name: bytes,
    method: bytes = b"POST",
    *,
    rules: AccessRules = OPEN,
    peer: Peer = NOBODY,
    **head: Any,
) -> HttpResponse | Call:
    content_type = STREAM if name == b"upload" else DOCUMENT
    head = {"content_type": content_type if method == b"POST" else None, **head}
    return check_call(REGISTRY, rules, CallHead(method=method, name=name, **head), peer)


def test_only_what_reads_and_a_query_says_can_be_got() -> None:
    assert [may_get(each) for each in (READ, WRITE, UPLOAD, SEARCH)] == [True, False, False, False]
    assert methods_of(READ) == (b"GET", b"POST")
    assert methods_of(WRITE) == (b"POST",)


@pytest.mark.parametrize(
    ("name", "method", "head", "call"),
    [
        (b"read", b"GET", {}, (DOCUMENT, None, b"")),
        (b"read", b"GET", {"query": b"n=1"}, (DOCUMENT, None, b"n=1")),
        (b"read", b"POST", {}, (DOCUMENT, None, None)),
        (b"read", b"POST", {"query": b""}, (DOCUMENT, None, None)),
        (b"read", b"POST", {"has_body": True, "timeout": b"2.5"}, (DOCUMENT, 2500, None)),
        (b"read", b"GET", {"timeout": b"0.001"}, (DOCUMENT, 1, b"")),
        (b"read", b"GET", {"timeout": b"2000000"}, (DOCUMENT, 2_000_000_000, b"")),
        (b"read", b"GET", {"accept": b"text/event-stream"}, (b"text/event-stream", None, b"")),
        (b"read", b"GET", {"last_event_id": b"end"}, (DOCUMENT, None, b"")),
        (b"read", b"POST", {"content_encoding": b"identity"}, (DOCUMENT, None, None)),
        (b"write", b"POST", {}, (DOCUMENT, None, None)),
        (b"upload", b"POST", {"query": b"names=[]"}, (DOCUMENT, None, b"names=[]")),
        (b"upload", b"POST", {}, (DOCUMENT, None, b"")),
    ],
)
def test_a_call_is_accepted(
    name: bytes, method: bytes, head: Mapping[str, Any], call: tuple[Any, ...]
) -> None:
    found = decided(name, method, **head)
    assert isinstance(found, Call)
    assert found.command.name == name.decode()
    assert (found.media_type, found.milliseconds, found.query) == call


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/json",
        b"APPLICATION/JSON",
        b"application/json; charset=utf-8",
        b'application/json;charset="UTF-8"',
        b"application/json ;",
    ],
)
def test_a_body_of_json_may_say_that_it_is_utf_8(content_type: bytes) -> None:
    assert isinstance(decided(b"read", content_type=content_type), Call)


@pytest.mark.parametrize(
    ("name", "method", "head", "status", "text"),
    [
        (b"nothing", b"POST", {}, 404, b"there is no command nothing;"),
        (b"hidden", b"POST", {}, 404, b"there is no command hidden;"),
        (b"read", b"PUT", {}, 405, b"the methods here are GET, POST"),
        (b"read", b"HEAD", {}, 405, b"the methods here are GET, POST"),
        (b"write", b"GET", {}, 405, b"the methods here are POST"),
        (b"search", b"GET", {}, 405, b"the methods here are POST"),
        (b"upload", b"BREW", {}, 405, b"the methods here are POST"),
        (b"read", b"GET", {"accept": b"text/html"}, 406, b"answers are application/json,"),
        (b"read", b"POST", {"content_type": None}, 415, b"application/json"),
        (b"read", b"POST", {"content_type": b"text/plain"}, 415, b"application/json"),
        (b"read", b"POST", {"content_type": b"application/json, text/plain"}, 415, b""),
        (b"read", b"POST", {"content_type": b"application/json; charset=latin-1"}, 415, b""),
        (b"read", b"POST", {"content_type": b"application/x-www-form-urlencoded"}, 415, b""),
        (b"read", b"POST", {"content_encoding": b"gzip"}, 415, b"no content encoding"),
        (b"upload", b"POST", {"content_type": DOCUMENT}, 415, b"application/octet-stream"),
        (b"upload", b"POST", {"content_type": None}, 415, b"application/octet-stream"),
        (b"read", b"POST", {"query": b"n=1"}, 400, b"the query must be empty"),
        (b"read", b"GET", {"has_body": True}, 400, b"a GET has no body"),
        *[
            (b"read", b"GET", {"timeout": timeout}, 400, b"Request-Timeout must be seconds")
            for timeout in (b"", b"0", b"0.0001", b"-1", b"1e3", b"inf", b"2000000.1", b"1,2", b"s")
        ],
    ],
)
def test_a_call_is_refused(
    name: bytes, method: bytes, head: Mapping[str, Any], status: int, text: bytes
) -> None:
    found = decided(name, method, **head)
    assert isinstance(found, HttpResponse)
    assert found.status == status
    assert text in found.body


def test_the_methods_are_told_and_no_page_of_another_site_gets_any_right() -> None:
    found = decided(b"read", b"OPTIONS")
    assert found == HttpResponse(
        status=204, reason=b"No Content", headers=((b"Allow", b"OPTIONS, GET, POST"),)
    )


def test_a_browser_that_has_had_the_end_is_told_to_stop() -> None:
    found = decided(b"read", b"GET", accept=b"text/event-stream", last_event_id=b"end")
    assert found == HttpResponse(status=204, reason=b"No Content", headers=())


@pytest.mark.parametrize(
    ("name", "rules", "peer", "status", "text"),
    [
        (b"read", AccessRules(deny_read=("*",)), NOBODY, 401, b"read not authorized\n"),
        (b"nothing", AccessRules(deny_read=("*",)), NOBODY, 401, b"read not authorized\n"),
        (b"read", AccessRules(allow_pull=False), NOBODY, 401, b"pull not authorized\n"),
        (b"write", AccessRules(allow_push=("*",)), NOBODY, 403, b"ssl required\n"),
        (b"write", AccessRules(), SECURE, 401, b"push not authorized\n"),
        (
            b"write",
            AccessRules(allow_push=("ann",)),
            Peer(address="", user="bob", is_secure=True),
            403,
            b"push not authorized\n",
        ),
    ],
)
def test_rights_are_those_of_calls_in_frames(
    name: bytes, rules: AccessRules, peer: Peer, status: int, text: bytes
) -> None:
    found = decided(name, rules=rules, peer=peer)
    assert isinstance(found, HttpResponse)
    assert (found.status, found.body) == (status, text)


def test_who_may_write_may() -> None:
    assert isinstance(decided(b"write", rules=AccessRules(allow_push=("*",)), peer=SECURE), Call)
