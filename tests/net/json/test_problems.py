from __future__ import annotations

import json

import pytest

from wiredaemon.net.hosting.access import UNAVAILABLE
from wiredaemon.net.http.buffered_body import too_large
from wiredaemon.net.http.responses import HttpResponse, busy, text
from wiredaemon.net.json.problems import as_problem, failure_of, members, wrong_method


def test_an_error_in_text_becomes_a_problem_document_and_keeps_its_headers() -> None:
    shown = as_problem(busy("too many (connections)", 10))
    assert shown == HttpResponse(
        status=503,
        reason=b"Service Unavailable",
        headers=(
            (b"Content-Type", b"application/problem+json"),
            (b"Cache-Control", b"no-store"),
            (b"X-Content-Type-Options", b"nosniff"),
            (b"Retry-After", b"10"),
        ),
        body=(
            b'{"title": "Service Unavailable", "status": 503, "detail": "too many (connections)"}\n'
        ),
    )
    assert json.loads(shown.body)["status"] == 503


def test_a_reason_phrase_of_its_own_gives_way_to_that_of_the_status() -> None:
    assert as_problem(text(401, b"pull not authorized", b"no\xff")).reason == b"Unauthorized"
    assert members(text(401, b"x", b"no\xff\n"))["detail"] == "no\ufffd"


@pytest.mark.parametrize(
    "response",
    [failure_of(b"command", b"no"), too_large("json_request", 1), wrong_method([b"GET"])],
)
def test_titles_are_the_same_with_each_version_of_python(response: HttpResponse) -> None:
    assert as_problem(response).reason == response.reason
    assert members(response)["title"] == response.reason.decode()


@pytest.mark.parametrize("status", [200, 204, 302])
def test_what_is_no_error_stays_as_it_is(status: int) -> None:
    response = text(status, b"Fine", b"fine")
    assert as_problem(response) is response


@pytest.mark.parametrize(
    ("kind", "message", "status"),
    [
        (b"command", b"there is no such branch", 422),
        (b"command", b"the deadline of 200 ms has passed", 504),
        (b"command", b"the deadline of a week has passed", 422),
        (b"command", b"64 commands wait, as many as may (blocking_waiting)", 503),
        (b"server", b"64 commands wait (worker_queue)", 503),
        (b"server", UNAVAILABLE, 503),
        (b"server", b"the command failed; the server's log says why", 500),
        (b"protocol", b"no", 500),
    ],
)
def test_the_status_says_of_which_kind_a_failure_is(
    kind: bytes, message: bytes, status: int
) -> None:
    response = failure_of(kind, message)
    assert (response.status, members(response)["detail"]) == (status, message.decode())
    assert ((b"Retry-After", b"1") in response.headers) is (status == 503)


def test_a_method_that_is_unknown_is_refused_with_those_that_are_known() -> None:
    response = wrong_method([b"GET", b"POST"])
    assert (response.status, response.headers[-1]) == (405, (b"Allow", b"OPTIONS, GET, POST"))


def test_a_long_text_is_cut() -> None:
    detail = members(text(400, b"Bad Request", b"a" * 1_000_000))["detail"]
    assert detail == "a" * 1000 + "..."
