from __future__ import annotations

import pytest

from wiredaemon.commands import Followed


@pytest.mark.parametrize(
    ("targets", "hashes"),
    [([b"a", b"b"], [b"sha1"]), ({b"a", b"b"}, {b"sha1"}), ((b"b", b"a", b"a"), (b"sha1",))],
)
def test_what_a_client_follows_is_read_from_its_request(targets: object, hashes: object) -> None:
    # framing 5.3
    assert Followed.parse({b"targets": targets, b"hashes": hashes, b"more": 1}) == Followed(
        frozenset({b"a", b"b"}), frozenset({b"sha1"})
    )


def test_who_follows_nothing_that_is_there_says_so_too() -> None:
    given: object = {b"targets": [], b"hashes": []}
    assert Followed.parse(given) == Followed(frozenset(), frozenset())


@pytest.mark.parametrize(
    "redirect",
    [
        None,
        {},
        [],
        b"targets",
        7,
        {b"targets": [b"a"]},
        {b"hashes": [b"sha1"]},
        {b"targets": b"a", b"hashes": []},
        {b"targets": [1], b"hashes": []},
        {b"targets": [], b"hashes": [None]},
        {b"targets": None, b"hashes": None},
        {b"targets": {b"a": 1}, b"hashes": []},
    ],
)
def test_a_malformed_redirect_counts_as_none(redirect: object) -> None:
    assert Followed.parse(redirect) is None
