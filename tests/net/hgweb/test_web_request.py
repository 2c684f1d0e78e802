"""The head of a request as it reaches a worker."""

from __future__ import annotations

import pytest
from support.hgweb import (
    CHUNKED,
    HEADS,
    UNBUNDLE,
    Hosted,
    chunks,
    head,
    keeps_alive,
    posted,
)
from support.logins import Users, basic, identification_of
from support.web import ask

from wiredaemon.commands import Permission
from wiredaemon.net.hosting.access import AccessRules
from wiredaemon.net.http.proxies import parse_proxies
from wiredaemon.repository.web_calls import WEB, WebRequest


def test_the_head_of_a_request_travels_whole() -> None:
    hosted = Hosted(path="/team/repo")
    lines = {"X-HgArg-1": "a=b", "x-twice": "1", "X-Twice": "2", "Content-Length": "4"}
    hosted.send(ask("POST", "/team/repo/a%20b/c?cmd=&x=%2F", lines) + b"body")
    ((command, request, has_data),) = hosted.workers.asked
    assert (command, has_data) == (WEB, True)
    assert {name.lower(): value for name, value in request.headers} == {
        b"host": b"test",
        b"content-length": b"4",
        b"x-hgarg-1": b"a=b",
        b"x-twice": b"2",
    }
    assert len(request.headers) == 5
    assert request == WebRequest(
        method=b"POST",
        script_name=b"/team/repo",
        path_info=b"/a b/c",
        query=b"cmd=&x=%2F",
        headers=request.headers,
        is_secure=False,
        server_name=b"test",
        server_port=80,
        public_scheme=b"http",
        public_path=b"/team/repo",
        remote_address=b"192.168.1.1",
        has_body=True,
        content_length=4,
    )


@pytest.mark.parametrize("address", ["192.168.1.1", "10.0.0.1"])
def test_what_proxies_say_reaches_a_worker_from_them_alone(address: str) -> None:
    proxies = parse_proxies([address], user_header="Remote-User")
    hosted = Hosted(identification=identification_of(Users(), proxies=proxies))
    lines = {
        "Remote-User": "mia",
        "X-Forwarded-For": "203.0.113.5",
        "X-Forwarded-Proto": "https",
        "Authorization": basic("ann", b"no"),
    }
    is_trusted = address == "192.168.1.1"
    if not is_trusted:
        del lines["Authorization"]
    hosted.send(ask("GET", "/log", lines))
    ((_, request, _),) = hosted.workers.asked
    assert b"remote-user" not in {name.lower() for name, _ in request.headers}
    assert request.remote_address == (b"203.0.113.5" if is_trusted else b"192.168.1.1")
    assert request.is_secure is is_trusted
    assert [peer.user for peer in hosted.host.peers] == (["mia"] if is_trusted else [None])


@pytest.mark.parametrize(
    ("request_", "permission"),
    [
        (ask("GET", HEADS), Permission.RO),
        (posted(HEADS, b"args"), Permission.RO),
        (posted(UNBUNDLE, b"bundle"), Permission.RW),
        (posted("/?cmd=batch", b"cmds"), Permission.RW),
        (ask("GET", "/?cmd=batch"), Permission.RO),
        (ask("GET", "/log"), Permission.RO),
        (ask("GET", "/?cmd=changelog"), Permission.RO),
    ],
)
def test_the_permission_is_the_one_that_the_head_needs(
    hosted: Hosted, request_: bytes, permission: Permission
) -> None:
    hosted.send(request_)
    assert hosted.workers.granted == [permission]


def test_of_several_commands_the_last_one_counts_as_for_mercurial() -> None:
    hosted = Hosted(AccessRules(allow_pull=False))
    refusals = hosted.connection.exchange(
        ask("GET", "/?cmd=changelog&cmd=heads") + ask("GET", "/?cmd=&cmd=%68eads")
    )
    assert refusals.count(b"HTTP/1.1 401 pull not authorized\r\n") == 2
    assert hosted.workers.asked == []
    hosted.send(ask("GET", "/?cmd=heads&cmd=changelog"))
    assert hosted.workers.granted == [Permission.RO]


def test_a_body_in_chunks_goes_to_the_worker_without_a_length(hosted: Hosted) -> None:
    exchange = hosted.send(ask("POST", UNBUNDLE, {"Transfer-Encoding": "chunked"}))
    ((_, request, has_data),) = hosted.workers.asked
    assert (request.has_body, request.content_length, has_data) == (True, None, True)
    hosted.send(chunks(b"some", b"more")[:-5])
    assert (exchange.feed.data, exchange.feed.data_ended) == (b"somemore", False)
    hosted.send(chunks())
    assert (exchange.feed.data, exchange.feed.data_ended) == (b"somemore", True)
    exchange.answer(b"done")
    assert hosted.take() == head("200 Reason", CHUNKED) + chunks(b"done")
    assert keeps_alive(hosted)


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "0"}])
def test_a_request_without_a_body_has_no_command_data(
    hosted: Hosted, headers: dict[str, str]
) -> None:
    exchange = hosted.send(ask("POST", UNBUNDLE, headers))
    ((_, request, has_data),) = hosted.workers.asked
    assert (request.has_body, request.content_length, has_data) == (False, 0, False)
    exchange.answer(b"done")
    assert hosted.take() == head("200 Reason", CHUNKED) + chunks(b"done")
    assert keeps_alive(hosted)
