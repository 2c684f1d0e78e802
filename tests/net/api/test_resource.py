"""The head of a request for the API, row by row: the exact bytes of answers, http section 3.1."""

from __future__ import annotations

import pytest
from support.eras import (
    ERAS,
    INDEX,
    ONE,
    READ,
    host_of,
    marked,
)
from support.web import (
    API,
    FIRST,
    MEDIA,
    FakeHost,
    Web,
    ask,
    fixed_answer,
    framed_answer,
    path_of,
    posted,
    settings_of,
    text_answer,
)

from wiredaemon.net.hosting.access import AccessRules, ApiSwitches
from wiredaemon.repository import declarations

# --- section 3.1, rows 1 to 7 ------------------------------------------------------------------


@ERAS
@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("rest", ["", "/", "/exp-http-v2-0001", "/zz", "/exp-http-v2-0003/ro/x"])
def test_row_1_without_the_api_server_there_is_no_api(era: str, method: str, rest: str) -> None:
    host = host_of(switches=ApiSwitches(enabled=False))
    assert Web(era, host=host).exchange(ask(method, f"/api{rest}")) == text_answer(
        "400 no such method: api", b"no such method: api\n"
    )


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
@ERAS
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


# --- decisions that are remembered ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Accept": "text/plain"}, b"406 Not Acceptable"),
        ({"Content-Type": "text/plain"}, b"415 Unsupported Media Type"),
    ],
)
@ERAS
def test_what_was_accepted_with_other_media_types_is_not_accepted_with_these(
    era: str, changed: dict[str, str], status: bytes
) -> None:
    web = Web(era)
    right = {"Accept": MEDIA[era], "Content-Type": MEDIA[era]}
    accepted = framed_answer(era, *READ[era])
    for _ in range(2):
        assert web.exchange(posted(era, "customreadonly", ONE[era])) == accepted
        wrong = posted(era, "customreadonly", ONE[era], headers={**right, **changed})
        assert web.exchange(wrong).startswith(b"HTTP/1.1 " + status + b"\r\n")


@ERAS
def test_what_was_accepted_for_one_host_is_not_accepted_for_another_with_the_same_settings(
    era: str,
) -> None:
    shared = settings_of()
    empty, full = FakeHost([], settings=shared), FakeHost(settings=shared)
    web = Web(era, hosts={"/full": full, "/none": empty})
    request = posted(era, "customreadonly", ONE[era])
    for _ in range(2):
        answers = [
            web.exchange(request.replace(b"POST /api", b"POST /%b/api" % name))
            for name in (b"full", b"none")
        ]
        assert answers == [
            framed_answer(era, *READ[era]),
            text_answer("404 Not Found", b"unknown wire protocol command: customreadonly\n"),
        ]


@ERAS
def test_heads_that_differ_in_what_does_not_count_are_answered_alike(era: str) -> None:
    web = Web(era)
    request = posted(era, "customreadonly", ONE[era])
    for agent in ("one", "two", "one"):
        named = request.replace(b"Host: test\r\n", f"Host: test\r\nX-A: {agent}\r\n".encode())
        assert web.exchange(named) == framed_answer(era, *READ[era])
