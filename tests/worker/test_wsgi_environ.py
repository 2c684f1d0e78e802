"""The environment of a WSGI application."""

from __future__ import annotations

import io
from typing import Any

import pytest

from wiredaemon.repository.web_calls import WebRequest
from wiredaemon.worker.wsgi_environ import environ


def request(**fields: Any) -> WebRequest:
    common: dict[str, Any] = {"method": b"GET", "server_name": b"hg.example", "server_port": 8000}
    return WebRequest(**common | fields)


def variables(user: str | None = None, body: bytes = b"", **fields: Any) -> dict[str, Any]:
    return environ(request(**fields), user=user, body=io.BytesIO(body))


def test_the_variables_of_a_request_are_those_of_the_standard() -> None:
    found = variables(
        user="renée",
        method=b"POST",
        script_name=b"/caf\xc3\xa9",
        path_info=b"/rev/\xff",
        query=b"a=%20b",
        headers=(
            (b"Host", b"hg.example:8000"),
            (b"content-type", b"application/mercurial-0.1"),
            (b"Content-Length", b"99"),
            (b"X-HgArg-1", b"x"),
            (b"Accept", b"a"),
            (b"accept", b"b"),
        ),
        is_secure=True,
        remote_address=b"192.0.2.7",
        has_body=True,
        content_length=4,
        body=b"body",
    )
    assert found.pop("wsgi.input").read() == b"body"
    del found["wsgi.errors"]
    assert found == {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "/caf\xc3\xa9",
        "PATH_INFO": "/rev/\xff",
        "QUERY_STRING": "a=%20b",
        "SERVER_NAME": "hg.example",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_HOST": "192.0.2.7",
        "REMOTE_USER": "ren\xc3\xa9e",
        "CONTENT_TYPE": "application/mercurial-0.1",
        "CONTENT_LENGTH": "4",
        "HTTP_HOST": "hg.example:8000",
        "HTTP_X_HGARG_1": "x",
        "HTTP_ACCEPT": "a,b",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


def test_text_and_bytes_of_applications_go_to_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    errors = variables()["wsgi.errors"]
    errors.write("as the standard says, ")
    errors.writelines([b"as extensions do: ", b"\xff\n"])
    errors.flush()
    assert capsys.readouterr().err == "as the standard says, as extensions do: \ufffd\n"


def test_nobody_in_particular_has_no_name() -> None:
    assert "REMOTE_USER" not in variables()
    assert variables()["wsgi.url_scheme"] == "http"


@pytest.mark.parametrize(
    "name",
    [b"Proxy", b"proxy", b"Authorization", b"X_HgArg_1", b"Content_Length", b"Remote User", b""],
)
def test_a_header_that_would_pass_for_something_else_is_left_out(name: bytes) -> None:
    plain, evil = variables(), variables(headers=((name, b"evil"),))
    del plain["wsgi.input"], evil["wsgi.input"]
    assert evil == plain


def test_a_body_of_unknown_length_is_read_to_its_end() -> None:
    found = variables(has_body=True, body=b"x" * 100_000)
    assert int(found["CONTENT_LENGTH"]) > 1 << 40
    assert found["wsgi.input"].read() == b"x" * 100_000


def test_a_body_has_the_interface_of_a_file() -> None:
    found = variables(has_body=True, content_length=8, body=b"a\nbc\ndef")["wsgi.input"]
    assert (found.readline(), found.read(1), list(found)) == (b"a\n", b"b", [b"c\n", b"def"])
    assert found.read(5) == b""
