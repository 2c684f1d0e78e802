"""What is answered below ``/json``, on the site in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from openapi_spec_validator import validate
from support.json_calls import DATA, JSON, answer_of, get, json_web, post
from support.logins import Users, basic, identification_of
from support.responding import make_command
from support.web import FakeHost, Web, ask, settings_of, text_answer
from twisted.internet.defer import Deferred

from wiredaemon.commands import Argument, ArgumentType, Command, CommandError, Permission
from wiredaemon.net.hosting.access import AccessRules, ApiSwitches
from wiredaemon.net.hosting.collection import names_of
from wiredaemon.net.http.public_urls import PublicUrls, parse_url
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wiredaemon.net.hosting.host import Settings


def echo(context: Any, value: object) -> object:  # noqa: ARG001 every command is given its context
    return {b"value": value}


def numbers(context: Any, count: int) -> Iterator[int]:  # noqa: ARG001 as above
    yield from range(count)


def user(context: Any) -> object:
    return context.peer.user


def refuse(context: Any) -> None:  # noqa: ARG001 as above
    raise CommandError("there is no %s", ["such thing"])


def crash(context: Any) -> None:  # noqa: ARG001 as above
    raise ValueError("of the server alone")


async def size(context: Any, name: str) -> object:
    return {name: sum([len(piece) async for piece in context.data])}


def write(context: Any) -> bytes:  # noqa: ARG001 as above
    return b"written"


COMMANDS = [
    make_command(echo, arguments={"value": Argument(type=ArgumentType.BYTES)}),
    make_command(numbers, arguments={"count": Argument(type=ArgumentType.INT, default=2)}),
    make_command(user),
    make_command(refuse),
    make_command(crash),
    make_command(
        size, has_data=True, arguments={"name": Argument(type=ArgumentType.TEXT, default="size")}
    ),
    Command(name="write", permission=Permission.RW, function=write),
]


# --- on and off --------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/json", "/json/", "/json/echo", "/json/openapi.json"])
@pytest.mark.parametrize(
    "switches", [ApiSwitches(), ApiSwitches(enabled=False, json=True), ApiSwitches(http_v2=False)]
)
def test_it_is_off_by_default_and_then_a_page_that_is_unknown(
    target: str, switches: ApiSwitches
) -> None:
    web = Web(host=FakeHost(COMMANDS, settings=settings_of(switches=switches)))
    assert web.exchange(ask("GET", target)) == text_answer(
        "400 no such method: json", b"no such method: json\n"
    )


def test_each_repository_has_it_below_its_own_path() -> None:
    on = settings_of(switches=ApiSwitches(json=True))
    web = Web(hosts={"/": FakeHost(COMMANDS), "/team/a": FakeHost(COMMANDS, settings=on)})
    assert answer_of(web.exchange(ask("GET", "/team/a/json/numbers"))).said == [0, 1]
    assert answer_of(web.exchange(ask("GET", "/json/numbers"))).status == 400
    document = answer_of(web.exchange(ask("GET", "/team/a/json/openapi.json"))).said
    assert document["servers"] == [{"url": "/team/a/json"}]


def test_the_document_names_the_url_by_which_clients_know_it() -> None:
    url = parse_url("https://rpc.example.org/code")
    assert url is not None
    web = json_web(COMMANDS, public_urls=PublicUrls({names_of("/"): url}))
    document = answer_of(web.exchange(get("/openapi.json"))).said
    assert document["servers"] == [{"url": "https://rpc.example.org/code/json"}]


def test_a_call_waits_for_the_settings() -> None:
    host = FakeHost(COMMANDS)
    asked: Deferred[Settings] = Deferred()
    host.now = asked
    connection = Web(host=host).connect()
    assert connection.exchange(post("/echo", {"value": "a"})) == b""
    asked.callback(settings_of(switches=ApiSwitches(json=True)))
    assert answer_of(connection.take()).said == {"value": "a"}


# --- calls -------------------------------------------------------------------------------------


def test_the_answer_to_a_post_is_one_document_byte_for_byte() -> None:
    assert json_web(COMMANDS).exchange(post("/echo", {"value": "\u00e9"})) == (
        b"HTTP/1.1 200 OK\r\n"
        b"Content-Type: application/json\r\n"
        b"Cache-Control: no-store\r\n"
        b"X-Content-Type-Options: nosniff\r\n"
        b"Content-Length: 16\r\n\r\n"
        b'{"value": "\xc3\xa9"}\n'
    )


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (get("/echo?value=a+b"), {"value": "a b"}),
        (get("/echo?value=%ff"), {"value": {"hex": "ff"}}),
        (get("/%65cho?value=a"), {"value": "a"}),
        (get("/echo/?value=a"), {"value": "a"}),
        (get("/numbers"), [0, 1]),
        (post("/numbers", {"count": 0}), []),
        (post("/numbers", b"", JSON), [0, 1]),
        (post("/user"), None),
        (post("/write"), "written"),
        (post("/size", bytes(1000), DATA), {"size": 1000}),
        (post("/size?name=all", b"", DATA), {"all": 0}),
    ],
)
def test_a_command_is_called(request_: bytes, said: object) -> None:
    answer = answer_of(json_web(COMMANDS).exchange(request_))
    assert answer.headers["Content-Type"] == "application/json"
    assert (answer.status, answer.said) == (200, said)


def test_a_body_may_come_byte_by_byte_and_in_chunks() -> None:
    connection = json_web(COMMANDS).connect()
    for byte in post("/echo", {"value": "a"}):
        connection.send(bytes([byte]))
    assert answer_of(connection.take()).said == {"value": "a"}
    chunked = ask("POST", "/json/size", {**DATA, "Transfer-Encoding": "chunked"})
    connection.send(chunked + b"3\r\nabc\r\n")
    assert connection.take() == b""
    assert answer_of(connection.exchange(b"2\r\nde\r\n0\r\n\r\n")).said == {"size": 5}


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (
            get("/nothing"),
            (404, "there is no command nothing; openapi.json has those that there are"),
        ),
        (get("/echo/deep"), (404, "a command's name is one component of the path")),
        (get("/echo"), (400, "missing required arguments: value")),
        (get("/echo?value=a&value=b"), (400, "argument value is given twice")),
        (post("/echo", {"value": 1}), (400, "argument value must be of type bytes, not int")),
        (post("/echo", b"[]", JSON), (400, "the body must be a JSON object of arguments")),
        (post("/refuse"), (422, "there is no such thing")),
    ],
)
def test_what_cannot_be_answered_is_a_problem_document(
    request_: bytes, problem: tuple[int, str]
) -> None:
    assert answer_of(json_web(COMMANDS).exchange(request_)).problem == problem


def test_what_a_command_raises_is_logged_and_not_told() -> None:
    web = json_web(COMMANDS)
    assert answer_of(web.exchange(post("/crash"))).problem == (
        500,
        "the command failed; the server's log says why",
    )


def test_a_form_of_another_site_calls_nothing() -> None:
    called: list[object] = []
    command = Command(name="write", permission=Permission.RW, function=called.append)
    web = json_web([command])
    simple = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a"]
    for content_type in simple:
        answer = answer_of(web.exchange(post("/write", b"{}", {"Content-Type": content_type})))
        assert answer.status == 415
    without = ask("POST", "/json/write", {"Content-Length": "0"})
    answer = answer_of(web.exchange(without))
    assert answer.problem == (415, "the body must be arguments, as Content-Type: application/json")
    assert answer.headers["Accept-Post"] == "application/json"
    twice = post("/write").replace(b"\r\n\r\n", b"\r\nContent-Type: text/plain\r\n\r\n")
    assert answer_of(web.exchange(twice)).status == 415
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = answer_of(web.exchange(ask("OPTIONS", "/json/write", preflight)))
    assert (answer.status, answer.headers) == (204, {"Allow": "OPTIONS, POST"})
    assert called == []


def test_a_body_over_the_limit_is_refused_unread_and_counted() -> None:
    web = json_web(COMMANDS, limits=Limits(json_request=20))
    said = "the request body exceeds the limit of 20 bytes (json_request)"
    refused = web.connect().exchange(post("/echo", {"value": "a" * 20}))
    assert answer_of(refused).problem == (413, said)
    chunked = ask("POST", "/json/echo", {**JSON, "Transfer-Encoding": "chunked"})
    refused = web.connect().exchange(chunked + b"15\r\n" + bytes(21) + b"\r\n")
    assert answer_of(refused).problem == (413, said)
    assert web.guard.hits.counts == {"json_request": 2}


def test_who_waits_to_be_asked_for_the_body_is_asked_or_refused() -> None:
    web = json_web(COMMANDS, limits=Limits(json_request=20))
    head = {**JSON, "Expect": "100-continue"}
    connection = web.connect()
    asked = connection.exchange(ask("POST", "/json/numbers", {**head, "Content-Length": "2"}))
    assert asked == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer_of(connection.exchange(b"{}")).said == [0, 1]
    refused = web.connect().exchange(ask("POST", "/json/numbers", {**head, "Content-Length": "21"}))
    assert answer_of(refused).status == 413


# --- who asks ----------------------------------------------------------------------------------


def test_logins_are_those_of_all_requests_and_their_refusals_are_problems_too() -> None:
    identification = identification_of(Users(), plain_passwords=True)
    access = AccessRules(push_ssl=False, allow_push=("ann",), allow_read=("ann", "bob"))
    web = json_web(COMMANDS, access=access, identification=identification)
    ann, bob = {"Authorization": basic("ann")}, {"Authorization": basic("bob")}
    assert answer_of(web.exchange(get("/user", ann))).said == "ann"
    assert answer_of(web.exchange(post("/write", headers=ann))).said == "written"
    assert answer_of(web.exchange(post("/write", headers=bob))).problem == (
        403,
        "push not authorized",
    )
    anonymous = answer_of(web.exchange(get("/user")))
    assert anonymous.problem == (401, "read not authorized")
    assert anonymous.headers["WWW-Authenticate"].startswith("B")
    wrong = {"Authorization": basic("ann", b"wrong")}
    assert answer_of(web.exchange(get("/user", wrong))).problem[0] == 401


def test_writing_needs_tls_as_it_does_in_frames() -> None:
    web = json_web(COMMANDS, access=AccessRules(allow_push=("*",)))
    assert answer_of(web.exchange(post("/write"))).problem == (403, "ssl required")
    assert answer_of(web.exchange(post("/write"), secure=True)).said == "written"


# --- the document ------------------------------------------------------------------------------


def test_the_document_is_for_those_who_may_read_and_has_what_they_may_call() -> None:
    identification = identification_of(Users(), plain_passwords=True)
    access = AccessRules(push_ssl=False, allow_push=("ann",), allow_read=("ann", "bob"))
    web = json_web(COMMANDS, access=access, identification=identification)
    assert answer_of(web.exchange(get("/openapi.json"))).problem[0] == 401
    assert answer_of(web.exchange(get(""))).problem[0] == 401
    found = {}
    for name in ("ann", "bob"):
        headers = {"Authorization": basic(name)}
        document = answer_of(web.exchange(get("/openapi.json", headers))).said
        validate(document)
        found[name] = set(document["paths"])
        assert set(document["components"]["securitySchemes"]) == {"password", "token"}
    assert found["ann"] - found["bob"] == {"/write"}


@pytest.mark.parametrize(
    ("target", "location"),
    [("", "json/openapi.json"), ("/", "openapi.json"), ("?a=/", "json/openapi.json")],
)
def test_the_folder_leads_to_the_document(target: str, location: str) -> None:
    answer = answer_of(json_web(COMMANDS).exchange(get(target)))
    assert (answer.status, answer.headers["Location"]) == (302, location)


def test_the_document_can_be_read_and_nothing_else() -> None:
    web = json_web(COMMANDS)
    head = web.exchange(ask("HEAD", "/json/openapi.json"))
    assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
    assert head.endswith(b"\r\n\r\n")
    refused = answer_of(web.exchange(post("/openapi.json")))
    assert refused.problem == (405, "the methods here are GET, HEAD")
    assert refused.headers["Allow"] == "OPTIONS, GET, HEAD"
    asked = answer_of(web.exchange(ask("OPTIONS", "/json/openapi.json")))
    assert (asked.status, asked.headers) == (204, {"Allow": "OPTIONS, GET, HEAD"})


# --- heads that are refused --------------------------------------------------------------------

LINE = b"GET /json/refuse HTTP/1.1\r\n"
REFUSED: list[tuple[bytes, int, str]] = [
    (LINE + b"\r\n", 400, "a request has a Host header"),
    (LINE + b"Host: a\r\nHost: b\r\n\r\n", 400, "a request has one Host header, and no more"),
    (LINE + b"Host: a\r\n folded\r\n", 400, "a header may not go on in the next line"),
    (LINE.replace(b"\r", b""), 400, "lines of a request end in CR and LF"),
    (
        LINE.replace(b"refuse", b"\xc3\xa9"),
        400,
        "the target of a request is ASCII: percent-encode all else",
    ),
    (
        LINE.replace(b"refuse", b"refuse?a=" + b"a" * 40_000),
        431,
        "the head of the request exceeds the limit of 16384 bytes (head)",
    ),
    (
        LINE + b"X: " + b"a" * 40_000 + b"\r\n",
        431,
        "the head of the request exceeds the limit of 16384 bytes (head)",
    ),
]


@pytest.mark.parametrize(("head", "status", "detail"), REFUSED)
def test_a_head_that_is_refused_is_a_problem_too(head: bytes, status: int, detail: str) -> None:
    assert answer_of(json_web(COMMANDS).connect().exchange(head)).problem == (status, detail)
    elsewhere = answer_of(Web().connect().exchange(head.replace(b"/json/", b"/other/")))
    assert elsewhere.status == status
    assert elsewhere.headers["Content-Type"] == "text/plain"
    assert elsewhere.body.decode() == f"{detail}\n"
