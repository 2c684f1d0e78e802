from __future__ import annotations

import pytest
from support import peers

from wiredaemon.client.description import Description
from wiredaemon.client.errors import BrokenProtocolError, HttpAnswerError, NotOfferedError
from wiredaemon.client.handshake import Offer, choose, read_answer
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

CBOR = b"application/mercurial-cbor"
NOTHING = Description(commands={})


def descriptor(*names: str) -> dict[bytes, object]:
    return {
        b"commands": {},
        b"framingmediatypes": [
            f"application/mercurial-exp-framing-{name}".encode() for name in names
        ],
    }


BOTH: dict[object, object] = {
    b"apibase": b"api/",
    b"apis": {
        b"exp-http-v2-0001": descriptor("0003", "0005", "0002"),
        b"exp-http-v2-0003": descriptor("0099", "0006"),
    },
}


@pytest.mark.parametrize(
    ("wanted", "base", "dialect"),
    [
        (None, b"api/exp-http-v2-0003", "0006"),
        ("0006", b"api/exp-http-v2-0003", "0006"),
        ("0005", b"api/exp-http-v2-0001", "0005"),
        ("0002", b"api/exp-http-v2-0001", "0002"),
    ],
)
def test_the_best_api_with_the_dialect_is_chosen(
    wanted: str | None, base: bytes, dialect: str
) -> None:
    offer = choose(BOTH, DIALECTS[wanted] if wanted else None)
    assert offer == Offer(base=base, dialect=DIALECTS[dialect], description=NOTHING)


def test_the_server_says_where_its_apis_are() -> None:
    offer = choose({**BOTH, b"apibase": b"/elsewhere/api/"}, None)
    assert offer.base == b"elsewhere/api/exp-http-v2-0003"


def test_a_dialect_that_is_not_offered_is_refused_with_those_that_are() -> None:
    text = r"^the server does not offer dialect 0004; it offers: 0006, 0003, 0005, 0002$"
    with pytest.raises(NotOfferedError, match=text):
        choose(BOTH, DIALECTS["0004"])


@pytest.mark.parametrize(
    "answer", [{}, {b"apis": {}}, {b"apis": 3}, {b"apis": {b"exp-http-v9": descriptor("0006")}}]
)
def test_a_server_without_an_api_is_refused(answer: dict[object, object]) -> None:
    with pytest.raises(NotOfferedError, match="the server offers no API of protocol version 2"):
        choose(answer, None)


def test_an_api_without_a_framing_that_we_know_is_refused() -> None:
    answer: dict[object, object] = {b"apis": {b"exp-http-v2-0003": descriptor("0099")}}
    with pytest.raises(NotOfferedError, match="does not offer dialect one that we know"):
        choose(answer, None)


def test_the_oldest_dialect_may_be_spoken_to_servers_that_know_no_handshake() -> None:
    assert choose({}, DIALECTS["0002"]) == Offer(
        base=b"api/exp-http-v2-0001", dialect=DIALECTS["0002"], description=None
    )


def test_the_map_is_read() -> None:
    content = peers.item({b"apibase": b"api/", b"apis": {}}, canonical=True)
    answer = read_answer(200, b"OK", CBOR, content, Limits())
    assert answer == {b"apibase": b"api/", b"apis": {}}


def test_the_answer_of_version_1_is_an_empty_map() -> None:
    content = b"batch branchmap"
    given = read_answer(
        200, b"Script output follows", b"application/mercurial-0.1", content, Limits()
    )
    assert given == {}


@pytest.mark.parametrize(
    ("status", "content_type"), [(401, b""), (404, b"application/mercurial-0.1"), (302, b"")]
)
def test_what_is_no_answer_of_mercurial_is_shown(status: int, content_type: bytes) -> None:
    with pytest.raises(HttpAnswerError, match=rf"^HTTP {status} reason: text$"):
        read_answer(status, b"reason", content_type, b"text\n", Limits())


@pytest.mark.parametrize(
    ("status", "content_type", "shown"),
    [(200, b"text/html", "200 with text/html"), (204, b"", "204 with no type")],
)
def test_another_web_site_is_named(status: int, content_type: bytes, shown: str) -> None:
    with pytest.raises(NotOfferedError, match=rf"^no repository is .*, {shown}, is of"):
        read_answer(status, b"OK", content_type, b"<html>", Limits())


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"", "are no CBOR"), (b"\xa1", "are no CBOR"), (b"\x80", "are no map")],
)
def test_a_map_that_is_none_is_refused(content: bytes, text: str) -> None:
    with pytest.raises(BrokenProtocolError, match=text):
        read_answer(200, b"OK", CBOR, content, Limits())
