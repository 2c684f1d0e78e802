from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from wiredaemon.commands import CommandError
from wiredaemon.repository.web_calls import WebRequest
from wiredaemon.wire import cbor
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

REQUEST = WebRequest(
    method=b"POST",
    script_name=b"/team/repo",
    path_info=b"/rev/tip",
    query=b"style=raw",
    headers=((b"Host", b"hg.example"), (b"X-HgArg-1", b"a\xff")),
    is_secure=True,
    server_name=b"hg.example",
    server_port=443,
    remote_address=b"192.0.2.7",
    has_body=True,
    content_length=17,
)


@pytest.mark.parametrize(
    "request_",
    [
        REQUEST,
        dataclasses.replace(REQUEST, content_length=None),
        WebRequest(method=b"GET", server_name=b"localhost", server_port=8000),
    ],
)
def test_a_request_arrives_as_it_was_sent(request_: WebRequest) -> None:
    assert WebRequest.parse(travelled(request_.encode())) == request_


def travelled(arguments: Any) -> object:
    rules = DIALECTS["0006"].cbor
    return cbor.decode_first(cbor.encode(arguments, rules.key_order), rules, Limits())


@pytest.mark.parametrize("name", sorted(REQUEST.encode()))
def test_an_argument_that_is_missing_or_wrong_is_refused(name: bytes) -> None:
    arguments = dict(REQUEST.encode())
    with pytest.raises(CommandError, match="no proper web request"):
        WebRequest.parse({**arguments, name: {}})
    del arguments[name]
    with pytest.raises(CommandError, match="no proper web request"):
        WebRequest.parse(arguments)


@pytest.mark.parametrize("header", [b"ab", [b"a"], [b"a", 1], [b"a", b"b", b"c"]])
def test_a_header_that_is_no_pair_is_refused(header: object) -> None:
    with pytest.raises(CommandError, match="no proper web request"):
        WebRequest.parse(dict(REQUEST.encode()) | {b"headers": [header]})


@pytest.mark.parametrize("arguments", [None, b"", [], {}])
def test_arguments_that_are_no_request_are_refused(arguments: object) -> None:
    with pytest.raises(CommandError, match="no proper web request"):
        WebRequest.parse(arguments)
