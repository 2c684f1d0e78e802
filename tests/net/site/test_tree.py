"""The real Resource tree in memory: the exact bytes of its answers, http sections 3 and 6."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.peers import (
    frame,
    map_frames,
    named_frames,
    request_frames,
    settings_frames,
)
from support.web import (
    API,
    FIRST,
    MEDIA,
    SECOND,
    FakeHost,
    Web,
    ask,
    dummy_commands,
    fixed_answer,
    framed_answer,
    frames_of,
    path_of,
    posted,
    requests,
    settings_first,
    settings_of,
    text_answer,
)
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure

from wiredaemon.commands import (
    Argument,
    Command,
    CommandError,
    Permission,
    RawBytes,
    ServerError,
    command,
)
from wiredaemon.commands.arguments import ArgumentType
from wiredaemon.commands.declaration import MARK
from wiredaemon.net.hosting.access import AccessRules, ApiSwitches
from wiredaemon.net.hosting.collection import Collection
from wiredaemon.net.hosting.host_lookup import HostLookup
from wiredaemon.repository import declarations
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wiredaemon.net.hosting.host import Settings

ERAS: Final = pytest.mark.parametrize("era", API)
MAPS: Final = pytest.mark.parametrize("era", ["0003", "0005", "0006"])
TEXTS: Final = pytest.mark.parametrize("era", ["0003", "0005"])

READ: Final[dict[str, tuple[bytes, ...]]] = {
    "0002": (b"\x1d\x00\x00\x01\x00\x02\x01Bcustomreadonly bytes response",),
    "0003": (b"\x1d\x00\x00\x01\x00\x02\x01Bcustomreadonly bytes response",),
    "0005": (b"\x2a\x00\x00\x01\x00\x02\x012\xa1FstatusBokX\x1dcustomreadonly bytes response",),
    "0006": (
        b"\x09\x00\x00\x01\x00\x02\x01\x92Hidentity",
        b"\x0b\x00\x00\x01\x00\x02\x041\xa1FstatusBok",
        b"\x1f\x00\x00\x01\x00\x02\x041X\x1dcustomreadonly bytes response",
        b"\x00\x00\x00\x01\x00\x02\x002",
    ),
}
"""Request 1, `customreadonly`: http, section 6.5."""

READ_3: Final[dict[str, tuple[bytes, ...]]] = {
    "0002": (b"\x1d\x00\x00\x03\x00\x02\x01Bcustomreadonly bytes response",),
    "0003": (b"\x1d\x00\x00\x03\x00\x02\x00Bcustomreadonly bytes response",),
    "0005": (b"\x2a\x00\x00\x03\x00\x02\x002\xa1FstatusBokX\x1dcustomreadonly bytes response",),
    "0006": (
        b"\x0b\x00\x00\x03\x00\x02\x041\xa1FstatusBok",
        b"\x1f\x00\x00\x03\x00\x02\x041X\x1dcustomreadonly bytes response",
        b"\x00\x00\x00\x03\x00\x02\x002",
    ),
}
"""Request 3 behind it."""

ONE: Final = {era: requests(era, b"customreadonly") for era in API}
"""A request that works."""


def marked(*functions: object) -> list[Command]:
    return [getattr(function, MARK) for function in functions]


@pytest.fixture(params=API)
def era(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def host_of(access: AccessRules | None = None, *, switches: ApiSwitches | None = None) -> FakeHost:
    if access is None:
        return FakeHost(settings=settings_of(switches=switches))
    return FakeHost(settings=settings_of(access=access, switches=switches))


def error_events(events: Sequence[Any]) -> list[Any]:
    return [event for event in events if event["log_level"] >= LogLevel.error]


# --- section 3.1, rows 1 to 7 ------------------------------------------------------------------


@ERAS
@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("rest", ["", "/", "/exp-http-v2-0001", "/zz", "/exp-http-v2-0003/ro/x"])
def test_row_1_without_the_api_server_there_is_no_api(era: str, method: str, rest: str) -> None:
    host = host_of(switches=ApiSwitches(enabled=False))
    assert Web(era, host=host).exchange(ask(method, f"/api{rest}")) == text_answer(
        "400 no such method: api", b"no such method: api\n"
    )


INDEX: Final = b"APIs can be accessed at /api/<name>, where <name> can be one of the following:\n\n"


@ERAS
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "get"])
@pytest.mark.parametrize(
    "target", ["/api", "/api/", "//api//", "/%61pi", "/api?cmd=heads", "/api?"]
)
def test_row_2_the_index_names_the_apis(era: str, method: str, target: str) -> None:
    host = host_of(AccessRules(deny_read=("*",)))
    answer = text_answer("200 OK", INDEX + API[era].encode())
    assert b"\r\nContent-Length: 96\r\n" in answer
    assert Web(era, host=host).exchange(ask(method, target)) == answer


def test_the_index_names_several_apis_a_line_each() -> None:
    assert Web().exchange(ask("GET", "/api")) == text_answer(
        "200 OK", INDEX + b"exp-http-v2-0001\nexp-http-v2-0003"
    )


@ERAS
def test_the_index_says_that_there_is_none(era: str) -> None:
    host = host_of(switches=ApiSwitches(http_v2=False))
    answer = text_answer("200 OK", INDEX + b"(no available APIs)\n")
    assert b"\r\nContent-Length: 100\r\n" in answer
    assert Web(era, host=host).exchange(ask("GET", "/api")) == answer


def test_head_is_answered_with_the_head_alone() -> None:
    assert Web("0003").exchange(ask("HEAD", "/api")) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 96\r\n\r\n"
    )


@ERAS
@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/api/zz", b"zz"),
        ("/api/zz/ro/heads", b"zz"),
        ("/api//x", b""),
        ("/api/EXP-HTTP-V2-0001", b"EXP-HTTP-V2-0001"),
        ("/api/%C3%A9", b"\xc3\xa9"),
        ("/api/a%0Ab?x=y", b"a\nb"),
    ],
)
def test_row_3_an_unknown_api_is_named(era: str, target: str, name: bytes) -> None:
    assert Web(era).exchange(ask("GET", target)) == text_answer(
        "404 Not Found", b"Unknown API: " + name + b"\nKnown APIs: " + API[era].encode()
    )


def test_the_known_apis_are_those_that_are_enabled() -> None:
    assert Web().exchange(ask("GET", "/api/zz")) == text_answer(
        "404 Not Found", b"Unknown API: zz\nKnown APIs: exp-http-v2-0001, exp-http-v2-0003"
    )
    host = host_of(switches=ApiSwitches(http_v2=False))
    assert Web(host=host).exchange(ask("GET", "/api/zz")) == text_answer(
        "404 Not Found", b"Unknown API: zz\nKnown APIs: "
    )
    assert Web("0006").exchange(ask("GET", f"/api/{FIRST}")) == text_answer(
        "404 Not Found", b"Unknown API: exp-http-v2-0001\nKnown APIs: exp-http-v2-0003"
    )


@ERAS
@pytest.mark.parametrize("rest", ["", "/", "/ro", "/zz/heads", "/ro/customreadonly"])
def test_row_4_an_api_that_is_off_says_so(era: str, rest: str) -> None:
    host = host_of(switches=ApiSwitches(http_v2=False))
    assert Web(era, host=host).exchange(ask("GET", f"/api/{API[era]}{rest}")) == text_answer(
        "404 Not Found", b"API " + API[era].encode() + b" not enabled\n"
    )


@ERAS
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_row_5_an_api_answers_at_its_root_whoever_asks(era: str, method: str) -> None:
    host = host_of(AccessRules(deny_read=("*",)))
    for target in (f"/api/{API[era]}", f"/api/{API[era]}/", f"/api/{API[era]}?cmd=x"):
        assert Web(era, host=host).exchange(ask(method, target)) == text_answer(
            "200 OK", b"HTTP version 2 API handler"
        )


@ERAS
@pytest.mark.parametrize("permission", ["ro", "rw", "zz", "%72o"])
def test_row_6_one_more_component_is_nothing(era: str, permission: str) -> None:
    shown = permission.replace("%72", "r").encode()
    for tail in ("", "/", "?x=y"):
        target = f"/api/{API[era]}/{permission}{tail}"
        assert Web(era).exchange(ask("POST", target)) == text_answer(
            "404 Not Found",
            b"do not know how to process api/%b/%b\n" % (API[era].encode(), shown),
        )


@ERAS
@pytest.mark.parametrize(
    ("middle", "shown"), [("zz", b"zz"), ("", b""), ("RO", b"RO"), ("%FF", b"\xff")]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_row_7_an_unknown_permission_is_named(
    era: str, middle: str, shown: bytes, method: str
) -> None:
    target = f"/api/{API[era]}/{middle}/zz"
    assert Web(era).exchange(ask(method, target)) == text_answer(
        "404 Not Found", b"unknown permission: " + shown
    )


# --- section 3.1, rows 8 to 14 -----------------------------------------------------------------


@ERAS
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH", "post"])
@pytest.mark.parametrize("name", ["customreadonly", "customreadwrite", "multirequest", "zz"])
def test_row_8_a_command_is_posted(era: str, method: str, name: str) -> None:
    web = Web(era, host=host_of(AccessRules(deny_read=("*",))))
    answer = fixed_answer(
        "405 Method Not Allowed", b"commands require POST requests", "Allow: POST"
    )
    for permission in ("ro", "rw"):
        assert web.exchange(ask(method, path_of(era, name, permission))) == answer


@ERAS
@pytest.mark.parametrize(
    ("permission", "access", "status"),
    [
        ("ro", AccessRules(deny_read=("*",)), "401 read not authorized"),
        ("rw", AccessRules(deny_read=("*",)), "401 read not authorized"),
        ("ro", AccessRules(allow_read=("ann",)), "401 read not authorized"),
        ("ro", AccessRules(allow_pull=False), "401 pull not authorized"),
        ("rw", AccessRules(allow_push=("*",)), "403 ssl required"),
        ("rw", AccessRules(push_ssl=False), "401 push not authorized"),
        ("rw", AccessRules(push_ssl=False, deny_push=("*",)), "401 push not authorized"),
    ],
)
@pytest.mark.parametrize("name", ["customreadonly", "multirequest", "zz", "debugreflect"])
def test_row_9_the_reason_of_a_denial_is_in_the_status_line(
    era: str, permission: str, access: AccessRules, status: str, name: str
) -> None:
    request = posted(era, name, ONE[era], permission=permission, headers={})
    assert Web(era, host=host_of(access)).exchange(request) == fixed_answer(
        status, b"permission denied"
    )


@ERAS
def test_tls_lets_those_push_who_may(era: str) -> None:
    web = Web(era, host=host_of(AccessRules(allow_push=("*",))))
    request = posted(era, "customreadonly", ONE[era], permission="rw")
    assert web.exchange(request, secure=True) == framed_answer(era, *READ[era])
    assert web.exchange(request) == fixed_answer("403 ssl required", b"permission denied")


@ERAS
@pytest.mark.parametrize("name", ["zz", "CustomReadOnly", "%FF", "", "a%20b"])
def test_row_11_an_unknown_command_is_named_before_the_media_types(era: str, name: str) -> None:
    shown = {"%FF": b"\xff", "a%20b": b"a b"}.get(name, name.encode())
    # At the end of a path an empty component would be stripped.
    tail = "" if name else "/more"
    request = posted(era, name + tail, ONE[era], headers={})
    assert Web(era).exchange(request) == text_answer(
        "404 Not Found", b"unknown wire protocol command: " + shown + b"\n"
    )


@pytest.mark.parametrize(
    "name", ["batch", "between", "branches", "changegroup", "changegroupsubset"]
)
def test_row_12_commands_of_version_1_alone_are_invalid_in_0002_and_unknown_later(
    era: str, name: str
) -> None:
    host = FakeHost(marked(getattr(declarations, name)))
    body = b"unknown wire protocol command: " + name.encode() + b"\n"
    if era == "0002":
        body = b"invalid wire protocol command: " + name.encode()
    assert Web(era, host=host).exchange(posted(era, name, headers={})) == text_answer(
        "404 Not Found", body
    )


@ERAS
def test_a_push_command_below_ro_is_forbidden_from_its_head_alone(era: str) -> None:
    connection = Web(era).connect()
    head = posted(era, "customreadwrite", b"x" * 100, headers={})[:-100]
    forbidden = text_answer(
        "403 Forbidden", b"insufficient permissions to execute command: customreadwrite"
    )
    assert connection.exchange(head) == forbidden
    # The body is drained, and the connection goes on.
    assert connection.exchange(b"x" * 100 + ask("GET", f"/api/{API[era]}")) == text_answer(
        "200 OK", b"HTTP version 2 API handler"
    )


@ERAS
@pytest.mark.parametrize("accept", [None, "*/*", "text/plain", "upper", "q", "list"])
@pytest.mark.parametrize("name", ["customreadonly", "multirequest"])
def test_row_13_accept_must_equal_the_media_type(era: str, accept: str | None, name: str) -> None:
    media = MEDIA[era]
    values = {"upper": media.upper(), "q": f"{media};q=1", "list": f"{media}, */*"}
    headers = {"Content-Type": "text/plain"}
    if accept is not None:
        headers["Accept"] = values.get(accept, accept)
    assert Web(era).exchange(posted(era, name, ONE[era], headers=headers)) == text_answer(
        "406 Not Acceptable",
        b"client MUST specify Accept header with value: " + media.encode() + b"\n",
    )


@ERAS
@pytest.mark.parametrize("content_type", [None, "text/plain", "application/octet-stream"])
def test_row_14_content_type_must_be_the_media_type(era: str, content_type: str | None) -> None:
    headers = {"Accept": MEDIA[era]}
    if content_type is not None:
        headers["Content-Type"] = content_type
    request = posted(era, "customreadonly", ONE[era], headers=headers)
    assert Web(era).exchange(request) == text_answer(
        "415 Unsupported Media Type",
        b"client MUST send Content-Type header with value: " + MEDIA[era].encode() + b"\n",
    )


@ERAS
@pytest.mark.parametrize("tail", ["; charset=utf-8", "upper"])
def test_only_0006_ignores_case_and_parameters_of_content_type(era: str, tail: str) -> None:
    value = MEDIA[era].upper() if tail == "upper" else MEDIA[era] + tail
    headers = {"Accept": MEDIA[era], "Content-Type": value}
    answer = Web(era).exchange(posted(era, "customreadonly", ONE[era], headers=headers))
    if era == "0006":
        assert answer == framed_answer(era, *READ[era])
    else:
        assert answer.startswith(b"HTTP/1.1 415 Unsupported Media Type\r\n")


@ERAS
def test_header_names_have_no_case_and_values_no_white_space_around(era: str) -> None:
    headers = {"aCCEPT": f"  {MEDIA[era]}\t ", "CONTENT-TYPE": f"\t{MEDIA[era]}  "}
    request = posted(era, "customreadonly", ONE[era], headers=headers)
    assert Web(era).exchange(request) == framed_answer(era, *READ[era])


@ERAS
def test_two_accept_headers_of_the_same_value_pass(era: str) -> None:
    request = posted(era, "customreadonly", ONE[era])
    twice = request.replace(b"Accept:", b"Accept: " + MEDIA[era].encode() + b"\r\nAccept:", 1)
    assert Web(era).exchange(twice) == framed_answer(era, *READ[era])


@pytest.mark.parametrize("era", ["0003", "0005", "0002"])
def test_an_api_of_several_framings_answers_in_the_one_that_accept_names(era: str) -> None:
    web = Web("0003", "0005", "0002", "0006")
    assert web.exchange(posted(era, "customreadonly", ONE[era])) == framed_answer(era, *READ[era])
    headers = {"Accept": MEDIA["0006"], "Content-Type": MEDIA[era]}
    assert web.exchange(posted(era, "customreadonly", headers=headers)) == text_answer(
        "406 Not Acceptable",
        b"client MUST specify Accept header with value: application/mercurial-exp-framing-0003\n",
    )
    headers = {"Accept": MEDIA[era], "Content-Type": MEDIA["0006"]}
    assert web.exchange(posted(era, "customreadonly", headers=headers)) == text_answer(
        "415 Unsupported Media Type",
        b"client MUST send Content-Type header with value: " + MEDIA[era].encode() + b"\n",
    )


# --- paths -------------------------------------------------------------------------------------


@ERAS
@pytest.mark.parametrize(
    "target",
    [
        "/api/{api}/ro/customreadonly/",
        "/api/{api}/ro/customreadonly//",
        "/api/{api}/ro/customreadonly/more/x",
        "/api/{api}/ro/customreadonly//x",
        "//api/{api}/ro/customreadonly",
        "/%61%70i/{api}/r%6F/custom%72eadonly",
        "/api%2F{api}%2fro/customreadonly",
        "/api/{api}/ro/customreadonly?cmd=heads&x",
        "/api/{api}/ro/customreadonly?/zz",
    ],
)
def test_one_command_has_many_spellings(era: str, target: str) -> None:
    headers = {
        "Accept": MEDIA[era],
        "Content-Type": MEDIA[era],
        "Content-Length": str(len(ONE[era])),
    }
    request = ask("POST", target.format(api=API[era]), headers) + ONE[era]
    assert Web(era).exchange(request) == framed_answer(era, *READ[era])


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/API", b"API"),
        ("/Api/exp-http-v2-0001", b"Api"),
        ("/zz", b"zz"),
        ("/zz/api", b"zz"),
        ("/apix", b"apix"),
        ("/a%0D%0Ab", b"a??b"),
        ("/%FF", b"?"),
        ("*", b"*"),
        ("/?cmd=heads", b"heads"),
        ("/?cmd=%FF%0A", b"??"),
        ("/?cmd=c&cmd=a+b", b"a b"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_path_that_is_none_of_the_pages_is_named(target: str, name: bytes, method: str) -> None:
    assert Web().exchange(ask(method, target)) == text_answer(
        f"400 no such method: {name.decode()}", b"no such method: " + name + b"\n"
    )


def test_a_version_1_command_below_the_repository_is_not_found() -> None:
    assert Web().exchange(ask("GET", "/foo?cmd=heads")) == (
        b"HTTP/1.1 404 Not Found\r\nContent-Type: application/mercurial-0.1\r\n"
        b"Content-Length: 12\r\n\r\n0\nNot Found\n"
    )


@pytest.mark.parametrize("target", ["/", "//", "/?", "/?cmd=", "/?x=y"])
def test_the_root_says_what_this_is(target: str) -> None:
    assert Web().exchange(ask("GET", target)) == text_answer(
        "200 OK",
        b"wiredaemon serves Mercurial's frame-based wire protocol; see api below this path\n",
    )


def test_hosts_are_found_by_their_prefix() -> None:
    off = host_of(switches=ApiSwitches(enabled=False))
    web = Web("0003", hosts={"/team/one": FakeHost(), "/team": off, "/café": FakeHost()})
    nothing = text_answer("404 Not Found", b"no repository is served at this path\n")
    assert web.exchange(ask("GET", "/api")) == nothing
    assert web.exchange(ask("GET", "/team/api")).startswith(b"HTTP/1.1 400 no such method: api")
    assert web.exchange(ask("GET", "/team/two/api")) == text_answer(
        "400 no such method: two", b"no such method: two\n"
    )
    index = text_answer("200 OK", INDEX + b"exp-http-v2-0001")
    assert web.exchange(ask("GET", "/team/one/api")) == index
    assert web.exchange(ask("GET", "/caf%C3%A9/api/")) == index
    # The path that messages repeat begins behind the prefix.
    assert web.exchange(ask("GET", f"/team/one/api/{FIRST}/ro")) == text_answer(
        "404 Not Found", b"do not know how to process api/exp-http-v2-0001/ro\n"
    )


def make_repositories(folder: Path, *names: str) -> None:
    """Make what looks like repositories."""
    for name in names:
        (folder / name / ".hg").mkdir(parents=True)


def test_repositories_of_a_collection_come_and_go_also_for_a_head_that_is_remembered(
    tmp_path: Path,
) -> None:
    made: list[bytes] = []

    def make_host(path: bytes) -> FakeHost:
        made.append(path)
        return FakeHost()

    collections = [Collection(prefix="/team", folder=tmp_path, enters_repositories=True)]
    limits = Limits(known_repositories=1)
    hosts = HostLookup({}, collections, make_host=make_host, limits=limits)
    connection = Web("0006", hosts=hosts).connect()
    request = posted("0006", "customreadonly", ONE["0006"])
    request = request.replace(b"POST /api", b"POST /team/one/api", 1)
    missing = text_answer("404 Not Found", b"no repository is served at this path\n")
    answer = framed_answer("0006", *READ["0006"])
    assert connection.exchange(request) == missing
    make_repositories(tmp_path, "one", "two")
    for _ in range(3):
        assert connection.exchange(request) == answer
    assert len(made) == 1
    # Another repository takes its place among those that are known.
    assert connection.exchange(ask("GET", "/team/two/api")).startswith(b"HTTP/1.1 200 OK")
    assert connection.exchange(request) == answer
    assert [os.path.basename(path) for path in made] == [b"one", b"two", b"one"]  # noqa: PTH119 bytes
    # A nearer one takes what was behind the name.
    make_repositories(tmp_path, "one/api")
    assert connection.exchange(request) == text_answer(
        "400 no such method: exp-http-v2-0003", b"no such method: exp-http-v2-0003\n"
    )
    (tmp_path / "one" / "api" / ".hg").rmdir()
    assert connection.exchange(request) == answer
    (tmp_path / "one" / ".hg").rmdir()
    assert connection.exchange(request) == missing
    assert connection.exchange(request) == missing


TRAPS: Final = [
    *("/", "..", ".", "%2e%2e", "%2E.", "%2F", "%2f..", "%5c", "\\", "%00", "%252e%252e", "%252F"),
    *(
        ".hg",
        "%2ehg",
        ".HG",
        ".Hg%2Fpatches",
        "patches",
        "team",
        "one",
        "two",
        "out",
        "link",
        "api",
    ),
    *("//", "?", ";", "%", "%ff", "..;", "hgrc", "http://x"),
]


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(parts=st.lists(st.sampled_from(TRAPS), max_size=10), glue=st.sampled_from(["", "/"]))
def test_whatever_a_url_says_nothing_outside_of_the_collection_is_opened(
    tmp_path: Path, parts: list[str], glue: str
) -> None:
    if not (tmp_path / "top").exists():
        make_repositories(
            tmp_path, "out", "two", "top/one", "top/one/.hg/patches", "top/.two", "top/sub/two"
        )
        (tmp_path / "top" / "link").symlink_to(tmp_path / "out")
    opened: set[str] = set()

    def make_host(path: bytes) -> FakeHost:
        opened.add(os.path.relpath(os.fsdecode(path), tmp_path))
        return FakeHost()

    collections = [
        Collection(prefix="/", folder=tmp_path / "top"),
        Collection(prefix="/team", folder=tmp_path / "top", enters_repositories=True),
    ]
    web = Web("0006", hosts=HostLookup({}, collections, make_host=make_host))
    answer = web.connect().exchange(ask("GET", "/" + glue.join(parts)))
    # Lists name all that is served, and nothing else.
    assert opened <= {"top/one", "top/sub/two"}
    for name in (b"out", b".two", b"patches", b"link"):
        assert b'/%s/"' % name not in answer


# --- section 6: what is answered ---------------------------------------------------------------


@ERAS
def test_a_command_is_answered_in_a_chunk_for_each_frame(era: str) -> None:
    assert Web(era).exchange(posted(era, "customreadonly", ONE[era])) == framed_answer(
        era, *READ[era]
    )


@ERAS
def test_a_body_that_comes_byte_by_byte_is_answered_alike(era: str) -> None:
    connection = Web(era).connect()
    for byte in posted(era, "multirequest", requests(era, b"customreadonly", b"customreadonly")):
        connection.send(bytes([byte]))
    assert connection.take() == framed_answer(era, *READ[era], *READ_3[era])


@ERAS
def test_requests_on_one_connection_are_answered_in_turn(era: str) -> None:
    request = posted(era, "customreadonly", ONE[era])
    refused = posted(era, "zz", ONE[era])
    answer = framed_answer(era, *READ[era])
    unknown = text_answer("404 Not Found", b"unknown wire protocol command: zz\n")
    connection = Web(era).connect()
    assert connection.exchange(request + refused + request) == answer + unknown + answer
    assert not connection.is_closed


@ERAS
def test_a_multirequest_runs_several_commands(era: str) -> None:
    body = requests(era, b"customreadonly", b"customreadonly")
    for permission in ("ro", "rw"):
        request = posted(era, "multirequest", body, permission=permission)
        assert Web(era).exchange(request) == framed_answer(era, *READ[era], *READ_3[era])


@ERAS
@pytest.mark.parametrize("name", ["customreadonly", "multirequest"])
def test_http_1_0_is_answered_without_chunks(era: str, name: str) -> None:
    connection = Web(era).connect()
    request = posted(era, name, ONE[era]).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    assert connection.exchange(request) == (
        f"HTTP/1.1 200 OK\r\nContent-Type: {MEDIA[era]}\r\nConnection: close\r\n\r\n".encode()
        + b"".join(READ[era])
    )
    assert connection.is_closed


@ERAS
def test_a_connection_that_is_to_be_closed_is_answered_without_chunks(era: str) -> None:
    connection = Web(era).connect()
    headers = {"Accept": MEDIA[era], "Content-Type": MEDIA[era], "Connection": "close"}
    assert connection.exchange(posted(era, "customreadonly", ONE[era], headers=headers)) == (
        f"HTTP/1.1 200 OK\r\nContent-Type: {MEDIA[era]}\r\nConnection: close\r\n\r\n".encode()
        + b"".join(READ[era])
    )
    assert connection.is_closed


@ERAS
def test_a_chunked_body_is_read(era: str) -> None:
    headers = {
        "Accept": MEDIA[era],
        "Content-Type": MEDIA[era],
        "Transfer-Encoding": "chunked",
    }
    body = ONE[era]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:5], body[5:]))
    request = ask("POST", path_of(era, "customreadonly"), headers) + chunks + b"0\r\n\r\n"
    assert Web(era).exchange(request) == framed_answer(era, *READ[era])


@ERAS
def test_a_client_that_expects_is_told_to_continue(era: str) -> None:
    headers = {"Accept": MEDIA[era], "Content-Type": MEDIA[era], "Expect": "100-continue"}
    request = posted(era, "customreadonly", ONE[era], headers=headers)
    connection = Web(era).connect()
    assert connection.exchange(request[: -len(ONE[era])]) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert connection.exchange(ONE[era]) == framed_answer(era, *READ[era])


@ERAS
def test_a_client_that_expects_may_be_refused_in_place_of_it(era: str) -> None:
    headers = {"Accept": MEDIA[era], "Content-Type": MEDIA[era], "Expect": "100-continue"}
    request = posted(era, "zz", ONE[era], headers=headers)[: -len(ONE[era])]
    assert Web(era).connect().exchange(request) == (
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 34\r\n"
        b"Connection: close\r\n\r\nunknown wire protocol command: zz\n"
    )


# --- section 6.2: the checks of each command, in their order -----------------------------------


@ERAS
@pytest.mark.parametrize("name", [b"zz", b"multirequest", b"debugreflect", b"", b"\xff\n"])
def test_a_multirequest_runs_no_unknown_command(era: str, name: bytes) -> None:
    request = posted(era, "multirequest", requests(era, name))
    assert Web(era).exchange(request) == text_answer(
        "200 OK", b"wire protocol command not available: " + name
    )


def test_a_multirequest_of_0002_runs_no_command_of_version_1_alone() -> None:
    host = FakeHost(marked(declarations.batch))
    request = posted("0002", "multirequest", requests("0002", b"batch"))
    assert Web("0002", host=host).exchange(request) == text_answer(
        "200 OK", b"wire protocol command not available: batch"
    )


@ERAS
def test_a_multirequest_below_ro_runs_no_push_command_and_drops_what_was_answered(
    era: str,
) -> None:
    body = requests(era, b"customreadonly", b"customreadwrite")
    assert Web(era).exchange(posted(era, "multirequest", body)) == text_answer(
        "403 Forbidden", b"insufficient permissions to execute command: customreadwrite"
    )
    answer = Web(era).exchange(posted(era, "multirequest", body, permission="rw"))
    assert b"customreadonly bytes response" in answer
    assert b"customreadwrite bytes response" in answer


@ERAS
def test_an_unknown_command_of_a_multirequest_drops_what_was_answered(era: str) -> None:
    body = requests(era, b"customreadonly", b"zz", b"customreadwrite")
    assert Web(era).exchange(posted(era, "multirequest", body)) == text_answer(
        "200 OK", b"wire protocol command not available: zz"
    )


@ERAS
def test_the_first_refusal_of_a_multirequest_counts(era: str) -> None:
    web = Web(era)
    body = requests(era, b"customreadwrite", b"zz") + b"rubbish"
    assert web.exchange(posted(era, "multirequest", body)) == text_answer(
        "403 Forbidden", b"insufficient permissions to execute command: customreadwrite"
    )
    body = requests(era, b"zz", b"customreadwrite") + b"rubbish"
    assert web.exchange(posted(era, "multirequest", body)) == text_answer(
        "200 OK", b"wire protocol command not available: zz"
    )


@ERAS
@pytest.mark.parametrize("second", [b"customreadonly", b"customreadwrite", b"zz", b"multirequest"])
def test_a_second_command_for_one_url_is_refused_whatever_its_name(era: str, second: bytes) -> None:
    body = requests(era, b"customreadonly", second)
    assert Web(era).exchange(posted(era, "customreadonly", body)) == text_answer(
        "200 OK", b"multiple commands cannot be issued to this URL"
    )


@ERAS
@pytest.mark.parametrize("name", [b"customreadwrite", b"zz", b"multirequest", b"CustomReadOnly"])
def test_the_command_in_the_frame_must_be_that_of_the_url(era: str, name: bytes) -> None:
    web = Web(era)
    answer = text_answer("200 OK", b"command in frame must match command in URL")
    assert web.exchange(posted(era, "customreadonly", requests(era, name))) == answer
    two = requests(era, name, b"customreadonly")
    assert web.exchange(posted(era, "customreadonly", two)) == answer


NAMES: Final = {
    b"\x05": b"5",
    b"\x24": b"-5",
    b"\xf6": b"None",
    b"\xf5": b"True",
    b"\x81\x41a": None,
    b"\xa1\x41a\x01": None,
}


@MAPS
@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_no_byte_string_matches_no_url(era: str, name: bytes) -> None:
    body = b"".join(map_frames(era, 1, b"\xa1\x44name" + name))
    assert Web(era).exchange(posted(era, "customreadonly", body)) == text_answer(
        "200 OK", b"command in frame must match command in URL"
    )


@MAPS
@pytest.mark.parametrize("name", NAMES)
def test_a_multirequest_shows_a_name_that_is_no_byte_string_where_mercurial_did(
    era: str, name: bytes
) -> None:
    body = b"".join(map_frames(era, 1, b"\xa1\x44name" + name))
    shown = NAMES[name]
    if era == "0006" or shown is None:
        answer = text_answer("400 Bad Request", b"the name of a command must be a byte string\n")
    else:
        answer = text_answer("200 OK", b"wire protocol command not available: " + shown)
    assert Web(era).exchange(posted(era, "multirequest", body)) == answer


@ERAS
def test_a_refusal_waits_for_the_second_request_to_be_complete(era: str) -> None:
    second = request_frames(era, 3, b"customreadonly", data=b"12345678", cut=4)
    connection = Web(era).connect()
    request = posted(era, "customreadonly", ONE[era] + b"".join(second))
    last = len(second[-1])
    assert connection.exchange(request[:-last]) == b""
    assert connection.exchange(request[-last:]) == text_answer(
        "200 OK", b"multiple commands cannot be issued to this URL"
    )


@ERAS
def test_the_rest_of_a_refused_body_is_drained(era: str) -> None:
    connection = Web(era).connect()
    rest = b"\xff" * 1000
    request = posted(era, "customreadonly", requests(era, b"zz") + rest)
    refused = text_answer("200 OK", b"command in frame must match command in URL")
    assert connection.exchange(request[:-1000]) == refused
    good = posted(era, "customreadonly", ONE[era])
    assert connection.exchange(rest + good) == framed_answer(era, *READ[era])


# --- section 6.1: errors of the protocol -------------------------------------------------------


def broken(era: str) -> list[tuple[bytes, bytes]]:
    """Bodies and the specification's texts (server-state-machine, 1.3 to 1.9)."""
    first = ONE[era]
    kind = "command frame" if era == "0002" else "command request frame"
    cases = [
        (
            frame(1, 1, b"x", stream_id=2),
            b"received frame with even numbered stream ID: 2",
        ),
        (
            frame(1, 1, b"x", stream_flags=0),
            b"received frame on unknown inactive stream without beginning of stream flag set",
        ),
        (first + first, b"request with ID 1 is already active"),
        (first + frame(3, 2, b"x"), f"expected {kind}; got 3".encode()),
    ]
    if era == "0002":
        cases.append((frame(1, 0, b"x"), b"missing frame flags on command frame"))
    else:
        cases += [
            (
                first + frame(1, 3, b"x", request_id=3),
                b"received command request frame with both new and continuation flags set",
            ),
            (
                b"".join(map_frames(era, 1, b"\xa0")),
                b'command request missing "name" field',
            ),
        ]
    if era == "0006":
        cases += [
            (
                frame(2, 1, b"x"),
                b"expected sender protocol settings or command request frame; got 2",
            ),
            (
                settings_first(b"identity") * 2,
                b"expected command request frame; got 8",
            ),
            (
                frame(8, 1, b"") + first,
                b"expected sender protocol settings frame; got 1",
            ),
        ]
    return cases


@pytest.mark.parametrize(
    ("era", "body", "text"), [(era, body, text) for era in API for body, text in broken(era)]
)
@pytest.mark.parametrize("name", ["customreadonly", "multirequest"])
def test_an_error_of_the_protocol_is_a_text_and_drops_what_was_answered(
    era: str, body: bytes, text: bytes, name: str
) -> None:
    answer = text_answer("200 OK", text + b"\n")
    assert Web(era).exchange(posted(era, name, body)) == answer
    assert Web(era).exchange(posted(era, name, body + ONE[era] + b"rubbish")) == answer


# --- what Mercurial answered with 500 ----------------------------------------------------------


NOTHING: Final = text_answer(
    "400 Bad Request", b"the request body holds no complete command request\n"
)


@ERAS
@pytest.mark.parametrize("name", ["customreadonly", "multirequest"])
def test_an_empty_body_is_a_bad_request(era: str, name: str) -> None:
    assert Web(era).exchange(posted(era, name)) == NOTHING
    without_length = ask(
        "POST", path_of(era, name), {"Accept": MEDIA[era], "Content-Type": MEDIA[era]}
    )
    assert Web(era).exchange(without_length) == NOTHING


def test_settings_alone_are_a_bad_request() -> None:
    body = settings_first(b"zstd-8mb", b"identity")
    assert Web("0006").exchange(posted("0006", "multirequest", body)) == NOTHING


def test_settings_and_a_request_are_answered_as_a_request() -> None:
    # server-state-machine 1.5; the streams are the client's own
    body = b"".join(settings_frames(b"identity")) + frame(
        1, 1, b"\xa1DnameNcustomreadonly", stream_flags=0
    )
    assert Web("0006").exchange(posted("0006", "customreadonly", body)) == framed_answer(
        "0006", *READ["0006"]
    )


def partial(era: str, request_id: int = 1) -> bytes:
    """A request without its end."""
    if era == "0002":
        frames = named_frames(request_id, b"customreadonly", {b"a": b"b"})
    else:
        frames = request_frames(era, request_id, b"customreadonly", cut=5)
    return b"".join(frames[:-1])


PARTIAL: Final = b"input ended before the request frames of request %d"


@ERAS
@pytest.mark.parametrize("name", ["customreadonly", "multirequest"])
def test_a_partial_request_alone_is_a_bad_request(era: str, name: str) -> None:
    assert Web(era).exchange(posted(era, name, partial(era))) == text_answer(
        "400 Bad Request", PARTIAL % 1 + b"\n"
    )


@ERAS
def test_a_complete_request_is_answered_beside_a_partial_one(era: str) -> None:
    body = ONE[era] + partial(era, 3)
    answer = Web(era).exchange(posted(era, "multirequest", body))
    text = PARTIAL % 3
    match era:
        case "0002":
            failed = frame(5, 2, text, request_id=3, stream_id=2)
            assert answer == framed_answer(era, *READ[era], failed)
        case "0003":
            failed = frame(5, 2, text, request_id=3, stream_id=2, stream_flags=0)
            assert answer == framed_answer(era, *READ[era], failed)
        case _:
            payload = error_map_of(text, era=era)
            failed = frame(3, 2, payload, request_id=3, stream_id=2, stream_flags=0)
            assert answer == framed_answer(era, *READ[era], failed)


@ERAS
@pytest.mark.parametrize("name", ["customreadonly", "multirequest"])
@pytest.mark.parametrize("cut", [1, 3, 7, 8, 12])
def test_a_truncated_frame_is_a_bad_request(era: str, name: str, cut: int) -> None:
    answer = Web(era).exchange(posted(era, name, ONE[era][:cut]))
    text = (
        b"frame length error: expected %d; got %d" % (ONE[era][0], cut - 8)
        if cut >= 8
        else b"received incomplete frame: got %d bytes: " % cut
    )
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n")
    assert body.startswith(text)
    assert body.endswith(b"\n")


@ERAS
def test_a_truncated_frame_behind_a_whole_request_is_a_bad_request(era: str) -> None:
    answer = Web(era).exchange(posted(era, "multirequest", ONE[era] + ONE[era][:12]))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n")
    assert b"customreadonly bytes response" not in answer


@MAPS
@pytest.mark.parametrize("content", [b"", b"\xff", b"\x18", b"\x05", b"\xa1\x44name"])
def test_bad_cbor_is_a_bad_request(era: str, content: bytes) -> None:
    body = b"".join(map_frames(era, 1, content))
    answer = Web(era).exchange(posted(era, "multirequest", body))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n")
    assert b"command request 1" in answer
    assert b"Traceback" not in answer


@ERAS
def test_an_encoded_frame_is_a_bad_request(era: str) -> None:
    answer = Web(era).exchange(posted(era, "multirequest", frame(1, 1, b"x", stream_flags=5)))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n")


@ERAS
def test_a_frame_beyond_the_limit_is_a_bad_request(era: str) -> None:
    web = Web(era, limits=Limits(frame_payload=100))
    assert web.exchange(posted(era, "multirequest", frame(1, 1, b"x" * 101))) == text_answer(
        "400 Bad Request",
        b"frame payload of 101 bytes exceeds the limit of 100 bytes (frame_payload)\n",
    )


# --- failing commands --------------------------------------------------------------------------


@command("crash", permission=Permission.RO)
def crash(_context: object) -> bytes:
    raise ZeroDivisionError("secret of the server")


@command("fail", permission=Permission.RO)
def fail(_context: object) -> bytes:
    raise CommandError(b"no %s here", [b"tea"])


@command("break", permission=Permission.RO)
def broken_server(_context: object) -> bytes:
    raise ServerError("100% out of tea")


@command("unsendable", permission=Permission.RO)
def unsendable(_context: object) -> object:
    return object()


FAILING: Final = marked(crash, fail, broken_server, unsendable)


def error_map_of(message: bytes, *arguments: bytes, era: str) -> bytes:
    """The payload of an error status map (framing 6.2, 6.3), from its bytes alone."""

    def text(value: bytes) -> bytes:
        head = bytes([0x40 + len(value)]) if len(value) < 24 else b"\x58" + bytes([len(value)])
        return head + value

    args = b"Dargs" + bytes([0x80 + len(arguments)]) + b"".join(map(text, arguments))
    inner = b"\xa1" if not arguments else b"\xa2" + args
    error = b"Eerror" + inner + b"Gmessage" + text(message)
    assert era in {"0005", "0006"}
    return b"\xa2" + error + b"FstatusEerror"


def error_frame_of(text: bytes) -> bytes:
    """The payload of a 0006 error-response (framing 7)."""
    head = bytes([0x40 + len(text)]) if len(text) < 24 else b"\x58" + bytes([len(text)])
    return b"\xa2Gmessage\x81\xa1Cmsg" + head + text + b"DtypeFserver"


def failure_frame(era: str, text: bytes, *, as_map: bytes | None) -> bytes:
    """The frame that request 1's failure becomes; `as_map` is the map a command error has."""
    if era in {"0002", "0003"}:
        return frame(5, 2, text, stream_id=2)
    if as_map is None:
        if era == "0006":
            return frame(5, 0, error_frame_of(text), stream_id=2)
        as_map = error_map_of(text.replace(b"%", b"%%"), era=era)
    return frame(3, 2, as_map, stream_id=2)


CRASHED: Final = b"the command failed; the server's log says why"
UNSENDABLE: Final = b"the result of the command cannot be sent; the server's log says why"


@ERAS
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("crash", CRASHED),
        ("fail", b"no tea here"),
        ("break", b"100% out of tea"),
        ("unsendable", UNSENDABLE),
    ],
)
def test_a_command_that_fails_is_answered_in_the_form_of_its_era(
    era: str, name: str, text: bytes
) -> None:
    as_map = (
        error_map_of(b"no %s here", b"tea", era=era)
        if (name == "fail" and era in {"0005", "0006"})
        else None
    )
    web = Web(era, host=FakeHost(FAILING))
    with capturedLogs() as events:
        answer = web.exchange(posted(era, name, requests(era, name.encode())))
    assert answer == framed_answer(era, failure_frame(era, text, as_map=as_map))
    assert [event["command"] for event in error_events(events)] == (
        [name] if name in {"crash", "unsendable"} else []
    )


@ERAS
@pytest.mark.parametrize("name", [b"crash", b"fail", b"break"])
def test_the_others_of_a_multirequest_go_on(era: str, name: bytes) -> None:
    web = Web(era, host=FakeHost([*FAILING, *dummy_commands()]))
    body = requests(era, name, b"customreadonly")
    frames = frames_of(era, web.exchange(posted(era, "multirequest", body)))
    assert len(frames) == 1 + len(READ_3[era]) + (era == "0006")
    assert frames[0][3:5] == b"\x01\x00"
    # 0006 sends its stream's settings with the first that succeeds, without stream-begin.
    assert tuple(frames[-len(READ_3[era]) :]) == READ_3[era]
    if era == "0006":
        assert frames[1] == b"\x09\x00\x00\x03\x00\x02\x00\x92Hidentity"


@ERAS
def test_a_failure_behind_a_success_costs_only_its_own_request(era: str) -> None:
    web = Web(era, host=FakeHost([*FAILING, *dummy_commands()]))
    body = requests(era, b"customreadonly", b"crash")
    frames = frames_of(era, web.exchange(posted(era, "multirequest", body)))
    assert tuple(frames[:-1]) == READ[era]
    assert frames[-1][3:5] == b"\x03\x00"
    assert CRASHED in frames[-1]
    assert b"secret" not in frames[-1]


@command(
    "echo",
    permission=Permission.RO,
    arguments={"what": Argument(type=ArgumentType.BYTES)},
)
def echo(_context: object, what: bytes) -> RawBytes:
    return RawBytes(what)


@ERAS
def test_a_missing_argument_is_named(era: str) -> None:
    web = Web(era, host=FakeHost(marked(echo)))
    answer = web.exchange(posted(era, "echo", requests(era, b"echo")))
    message = b"missing required arguments: what"
    as_map = error_map_of(message, era=era) if era in {"0005", "0006"} else None
    assert answer == framed_answer(era, failure_frame(era, message, as_map=as_map))


@ERAS
def test_an_argument_that_is_not_declared_matters_only_to_0006(era: str) -> None:
    web = Web(era, host=FakeHost(dummy_commands()))
    body = b"".join(request_frames(era, 1, b"customreadonly", {b"zz": b"1", b"aa": b"2"}))
    answer = web.exchange(posted(era, "customreadonly", body))
    if era == "0006":
        payload = error_map_of(b"unsupported argument to command: aa, zz", era=era)
        assert answer == framed_answer(era, frame(3, 2, payload, stream_id=2))
    else:
        assert answer == framed_answer(era, *READ[era])


# --- when commands run -------------------------------------------------------------------------


@dataclass
class Ran:
    """Counts."""

    times: int = 0
    commands: list[Command] = field(default_factory=list)


@pytest.fixture
def ran() -> Ran:
    count = Ran()

    @command("count", permission=Permission.RO)
    def counting(_context: object) -> RawBytes:
        count.times += 1
        return RawBytes(b"counted")

    count.commands = marked(counting)
    return count


@pytest.mark.parametrize("size", [1, 1000])
def test_0006_runs_nothing_before_all_its_input_was_accepted(size: int, ran: Ran) -> None:
    # server-state-machine 1.11
    body = requests("0006", b"count") + frame(1, 1, b"x", stream_id=2)
    connection = Web("0006", host=FakeHost(ran.commands)).connect()
    request = posted("0006", "count", body)
    for start in range(0, len(request), size):
        connection.send(request[start : start + size])
    assert connection.take() == text_answer(
        "200 OK", b"received frame with even numbered stream ID: 2\n"
    )
    assert ran.times == 0


@pytest.mark.parametrize("era", ["0002", "0003", "0005"])
def test_up_to_0005_a_command_runs_as_soon_as_its_request_has_come(era: str, ran: Ran) -> None:
    # server-state-machine 1.11: what fails later drops the answer, not what was done
    broken_frame = frame(1, 1, b"x", stream_id=2)
    request = posted(era, "count", requests(era, b"count") + broken_frame)
    connection = Web(era, host=FakeHost(ran.commands)).connect()
    assert connection.exchange(request[: -len(broken_frame)]) == b""
    assert ran.times == 1
    assert connection.exchange(broken_frame) == text_answer(
        "200 OK", b"received frame with even numbered stream ID: 2\n"
    )


@ERAS
@pytest.mark.parametrize("access", [AccessRules(deny_read=("*",)), AccessRules(allow_pull=False)])
def test_nothing_runs_for_whoever_may_not(era: str, ran: Ran, access: AccessRules) -> None:
    host = FakeHost(ran.commands, settings=settings_of(access=access))
    for name in ("count", "multirequest"):
        answer = Web(era, host=host).exchange(posted(era, name, requests(era, b"count")))
        assert answer.endswith(b"\r\n\r\npermission denied")
    assert ran.times == 0


# --- settings that must be asked for -----------------------------------------------------------


def waiting_web(era: str) -> tuple[Web, FakeHost, Deferred[Settings]]:
    host = FakeHost()
    asked: Deferred[Settings] = Deferred()
    host.now = asked
    return Web(era, host=host), host, asked


@ERAS
def test_a_request_waits_for_the_settings_and_its_body_with_it(era: str) -> None:
    web, _, asked = waiting_web(era)
    connection = web.connect()
    request = posted(era, "customreadonly", ONE[era])
    assert connection.exchange(request[:-10]) == b""
    assert connection.transport.producerState == "paused"
    assert connection.exchange(request[-10:]) == b""
    asked.callback(settings_of())
    assert connection.take() == framed_answer(era, *READ[era])
    assert connection.transport.producerState == "producing"
    assert not connection.is_closed


@ERAS
@pytest.mark.parametrize("split", [0, 1, 20])
def test_a_body_may_end_after_the_settings_came(era: str, split: int) -> None:
    web, host, asked = waiting_web(era)
    connection = web.connect()
    request = posted(era, "customreadonly", ONE[era])
    here = len(request) - len(ONE[era]) + split
    assert connection.exchange(request[:here]) == b""
    asked.callback(settings_of())
    assert connection.take() == b""
    assert connection.exchange(request[here:]) == framed_answer(era, *READ[era])
    host.now = settings_of()
    assert connection.exchange(request) == framed_answer(era, *READ[era])


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("/api", text_answer("200 OK", INDEX + b"exp-http-v2-0001")),
        (f"/api/{FIRST}", text_answer("200 OK", b"HTTP version 2 API handler")),
        (
            "/?cmd=capabilities",
            fixed_answer(
                "200 Script output follows", b"", "Content-Type: application/mercurial-0.1"
            ),
        ),
    ],
)
def test_requests_without_a_body_wait_too(target: str, answer: bytes) -> None:
    web, host, asked = waiting_web("0003")
    connection = web.connect()
    assert connection.exchange(ask("GET", target)) == b""
    asked.callback(settings_of())
    assert connection.take() == answer
    host.now = settings_of()
    assert connection.exchange(ask("GET", target)) == answer


UNAVAILABLE: Final = text_answer(
    "503 Service Unavailable", b"the repository is not available; the server's log says why\n"
)


@ERAS
def test_a_host_that_cannot_be_described_is_unavailable_and_may_come_back(era: str) -> None:
    web, host, asked = waiting_web(era)
    connection = web.connect()
    request = posted(era, "customreadonly", ONE[era])
    assert connection.exchange(request) == b""
    asked.errback(Failure(ServerError("secret of the server")))
    assert connection.take() == UNAVAILABLE
    host.now = settings_of()
    assert connection.exchange(request) == framed_answer(era, *READ[era])


@pytest.mark.parametrize("target", ["/api", f"/api/{SECOND}/ro/x", "/?cmd=capabilities"])
def test_every_path_of_a_host_that_cannot_be_described_is_unavailable(target: str) -> None:
    web, _, asked = waiting_web("0006")
    connection = web.connect()
    assert connection.exchange(ask("GET", target)) == b""
    asked.errback(Failure(ServerError("secret of the server")))
    assert connection.take() == UNAVAILABLE


@ERAS
def test_a_refusal_of_a_long_body_that_waited_is_given_at_once(era: str) -> None:
    web, _, asked = waiting_web(era)
    connection = web.connect()
    request = posted(era, "zz", b"x" * 1000)
    assert connection.exchange(request[:-999]) == b""
    asked.callback(settings_of())
    unknown = text_answer("404 Not Found", b"unknown wire protocol command: zz\n")
    assert connection.take() == unknown
    assert connection.exchange(request[-999:]) == b""
    assert not connection.is_closed


@pytest.mark.parametrize("outcome", ["settings", "failure"])
@pytest.mark.parametrize(
    "request_bytes",
    [
        ask("GET", "/api"),
        ask("GET", "/?cmd=capabilities"),
        posted("0003", "customreadonly", ONE["0003"]),
    ],
    ids=["index", "handshake", "command"],
)
def test_a_client_that_left_while_the_settings_were_asked_for_is_forgotten(
    outcome: str, request_bytes: bytes
) -> None:
    web, _, asked = waiting_web("0003")
    connection = web.connect()
    connection.send(request_bytes)
    connection.protocol.connectionLost(Failure(ConnectionDone()))
    with capturedLogs() as events:
        if outcome == "settings":
            asked.callback(settings_of())
        else:
            asked.errback(Failure(ServerError("secret of the server")))
    assert connection.take() == b""
    assert error_events(events) == []


# --- a body that is refused --------------------------------------------------------------------


@ERAS
def test_a_long_body_is_not_waited_for(era: str) -> None:
    web = Web(era, limits=Limits(drained_body=1000))
    connection = web.connect()
    request = posted(era, "zz", b"x" * 1001)
    assert connection.exchange(request[:-1001]) == (
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 34\r\n"
        b"Connection: close\r\n\r\nunknown wire protocol command: zz\n"
    )
    assert not connection.is_closed
    connection.send(b"x" * 1001)
    assert connection.is_closed


@ERAS
def test_a_refused_client_has_some_seconds_to_end_its_body(era: str) -> None:
    web = Web(era, limits=Limits(drain_seconds=2.0))
    connection = web.connect()
    request = posted(era, "zz", b"x" * 10)
    assert connection.exchange(request[:-1]).startswith(b"HTTP/1.1 404 Not Found\r\n")
    web.clock.advance(1.9)
    assert not connection.is_closed
    web.clock.advance(0.2)
    assert connection.is_closed


def test_a_client_that_ends_its_body_in_time_keeps_its_connection() -> None:
    web = Web("0003", limits=Limits(drain_seconds=2.0))
    connection = web.connect()
    request = posted("0003", "zz", b"x" * 10)
    connection.send(request[:-1])
    web.clock.advance(1.9)
    connection.send(request[-1:])
    web.clock.advance(1.9)
    assert not connection.is_closed


def test_every_era_is_tested() -> None:
    assert set(API) == set(DIALECTS) - {"0004"}


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("http://example.org/api", "/api"),
        ("https://example.org:8443/api/", "/api"),
        ("http://example.org/nothing?x=1", "/nothing?x=1"),
        ("http://example.org", "/"),
    ],
)
def test_a_whole_url_as_request_target_is_its_path(target: str, path: str) -> None:
    asked = "GET {} HTTP/1.1\r\nHost: example.org\r\n\r\n"
    answers = [Web("0006").exchange(asked.format(each).encode()) for each in (target, path)]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1\r\nConnection: close\r\n", b"HTTP/1.0\r\n"], ids=["close", "1.0"]
)
def test_who_asks_to_be_closed_is_and_needs_no_header_to_know(head: bytes) -> None:
    connection = Web("0006").connect()
    assert connection.exchange(b"GET /api/exp-http-v2-0003 " + head + b"\r\n") == (
        text_answer("200 OK", b"HTTP version 2 API handler")
    )
    assert connection.is_closed
