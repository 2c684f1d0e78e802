"""Descriptions of repositories on their way from a worker to the daemon."""

from __future__ import annotations

from typing import Any, Final

import pytest
from support.descriptions import described

from wiredaemon.commands import ServerError
from wiredaemon.repository.clone_bundles import StreamsFirst
from wiredaemon.repository.descriptions import Description
from wiredaemon.wire import cbor
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

FULL: Final = Description(
    web={b"push_ssl": False, b"allow_read": [b"ann", b"bob"], b"deny_read": []},
    api={b"enabled": True},
    requirements=[b"generaldelta", b"revlogv1"],
    compression=[b"zstd", b"zlib"],
    stream_allowed=True,
    capabilities=b"batch known",
    version1={b"heads": b"pull", b"unbundle": b"push"},
    description="Café".encode(),
    contact=b"ann",
    name=b"The tools",
    labels=[b"old", b"large"],
    hidden=True,
    extensions=b"0123456789abcdef",
    watched=[b"/r/.hg/hgrc"],
    rare=[b"/h/.hgrc"],
    state=[b"/r/.hg/hgrc", b"/r/.hg/store/00changelog.i"],
    journals=[b"/r/.hg/store/journal"],
    clones=b"0123456789abcdef",
    clones_by_user=True,
    bundles=[b"zstd-v2"],
    streams_first=StreamsFirst.YES,
)


def travelled(result: Any) -> object:
    rules = DIALECTS["0006"].cbor
    return cbor.decode_first(cbor.encode(result, rules.key_order), rules, Limits())


@pytest.mark.parametrize("description", [FULL, described()])
def test_a_description_arrives_as_it_was_sent(description: Description) -> None:
    assert Description.parse(travelled(description.encode())) == description


@pytest.mark.parametrize("name", sorted(FULL.encode()))
def test_a_key_that_is_missing_or_wrong_is_refused(name: bytes) -> None:
    result = dict(FULL.encode())
    with pytest.raises(ServerError, match="no proper description"):
        Description.parse({**result, name: None})
    del result[name]
    with pytest.raises(ServerError, match="no proper description"):
        Description.parse(result)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"web", {b"push_ssl": None}),
        (b"web", {b"allow_read": [1]}),
        (b"web", {1: True}),
        (b"api", {b"enabled": b"yes"}),
        (b"api", {1: True}),
        (b"version1", {b"heads": None}),
        (b"version1", {1: b"pull"}),
        (b"requirements", [None]),
        (b"compression", [1]),
        (b"watched", [1]),
        (b"rare", [1]),
        (b"state", [None]),
        (b"journals", [[]]),
    ],
)
def test_a_value_of_the_wrong_kind_inside_is_refused(name: bytes, value: object) -> None:
    with pytest.raises(ServerError, match="no proper description"):
        Description.parse({**FULL.encode(), name: value})


@pytest.mark.parametrize("result", [None, b"", [], {}])
def test_a_result_that_is_no_description_is_refused(result: object) -> None:
    with pytest.raises(ServerError, match="no proper description"):
        Description.parse(result)
