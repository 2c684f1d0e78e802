"""Writes inside of a batch that Mercurial refuses, and lengths that a worker announces."""

from __future__ import annotations

import pytest
from support.hgweb import Hosted, head, posted
from support.logins import Users, basic, identification_of
from support.web import ask

from wiredaemon.commands import ServerError
from wiredaemon.net.hgweb.worker_answer import announced_length
from wiredaemon.net.hosting.access import AccessRules

BATCH = "/?cmd=batch"
REASON = b"push not authorized"


def refused_batch(access: AccessRules, *, login: str = "", secure: bool = True) -> bytes:
    """Send a batch that a worker refuses; the answer."""
    hosted = Hosted(access, identification=identification_of(Users()))
    headers = {"Authorization": basic(login)} if login else {}
    connection = hosted.web.connect(secure=secure)
    connection.send(posted(BATCH, b"cmds=pushkey", **headers))
    exchange = hosted.workers.last
    exchange.begin(401, REASON, ("Content-Length", "22"))
    exchange.say(b"0\npush not authorized\n")
    exchange.end()
    assert exchange.has_left
    # The connection goes on.
    connection_answer = connection.take()
    connection.send(ask("GET", BATCH))
    assert len(hosted.workers.exchanges) == 2
    return connection_answer


def test_a_write_inside_of_a_batch_asks_for_a_login_where_that_helps() -> None:
    answer = refused_batch(AccessRules(allow_push=("ann",)))
    assert answer.startswith(b"HTTP/1.1 401 push not authorized\r\n")
    assert b'\r\nWWW-Authenticate: Basic realm="test"' in answer
    assert answer.endswith(b"\r\n\r\n0\npush not authorized\n")


def test_it_asks_for_none_where_nobody_may_write() -> None:
    answer = refused_batch(AccessRules())
    assert answer.startswith(b"HTTP/1.1 401 push not authorized\r\n")
    assert b"WWW-Authenticate" not in answer


def test_who_has_logged_in_is_forbidden() -> None:
    answer = refused_batch(AccessRules(allow_push=("ann",)), login="mia")
    assert answer.startswith(b"HTTP/1.1 403 push not authorized\r\n")


def test_without_tls_it_says_so() -> None:
    answer = refused_batch(AccessRules(allow_push=("ann",)), secure=False)
    assert answer.startswith(b"HTTP/1.1 403 ssl required\r\n")


def test_an_answer_to_who_may_write_is_passed_on() -> None:
    hosted = Hosted()
    exchange = hosted.send(posted(BATCH, b"cmds="))
    exchange.answer(b"no", status=401, headers=[("Content-Length", "2")])
    assert hosted.take() == head("401 Reason", "Content-Length: 2") + b"no"


@pytest.mark.parametrize(("lengths", "expected"), [((), None), ((b"0",), 0), ((b"12",), 12)])
def test_a_length_is_a_number(lengths: tuple[bytes, ...], expected: int | None) -> None:
    assert announced_length([(b"CONTENT-length", each) for each in lengths]) == expected


@pytest.mark.parametrize("lengths", [(b"1", b"1"), (b"-1",), (b"",), (b"1,1",)])
def test_any_other_length_is_refused(lengths: tuple[bytes, ...]) -> None:
    with pytest.raises(ServerError, match="no proper Content-Length"):
        announced_length([(b"Content-Length", each) for each in lengths])
