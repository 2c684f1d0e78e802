from __future__ import annotations

import hashlib
from typing import Any, Final

import pytest
from support.peers import item

from wiredaemon import __version__
from wiredaemon.net.cache import keys as keys_module
from wiredaemon.net.cache.keys import CachedAs, Keys, is_settled, keys_of
from wiredaemon.wire.values import UnencodableError

MEDIA_TYPE: Final = b"application/mercurial-exp-framing-0006"
ASKED: Final[dict[str, Any]] = {
    "cached_as": CachedAs(b"filesdata", MEDIA_TYPE, b"zlib"),
    "repository": b"/srv/hg/one",
    "arguments": {b"fields": {b"revision"}, b"haveparents": False},
    "state": ((1, 2, 3, 4), None),
}


def test_the_key_of_a_content_is_the_sha1_of_the_map_of_the_protocol_and_the_state() -> None:
    # commands 4.14, and what makes an answer change
    content = item(
        {
            b"globalversion": 1,
            b"localversion": 1,
            b"command": b"filesdata",
            b"mediatype": MEDIA_TYPE,
            b"version": b"exp-http-v2-0003",
            b"repo": b"/srv/hg/one",
            b"args": {b"fields": {b"revision"}, b"haveparents": False},
            b"software": __version__.encode(),
            b"state": b"((1, 2, 3, 4), None)",
        },
        canonical=False,
    )
    encoding = item({b"encoding": b"zlib"}, canonical=False)
    assert keys_of(**ASKED) == Keys(
        hashlib.sha1(content, usedforsecurity=False).hexdigest(),
        hashlib.sha1(content + encoding, usedforsecurity=False).hexdigest(),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"cached_as": CachedAs(b"manifestdata", MEDIA_TYPE, b"zlib")},
        {"cached_as": CachedAs(b"filesdata", b"other", b"zlib")},
        {"repository": b"/srv/hg/two"},
        {"arguments": {b"fields": {b"revision"}, b"haveparents": True}},
        {"arguments": {b"fields": {b"revision", b"parents"}, b"haveparents": False}},
        {"state": ((1, 2, 4, 4), None)},
        {"state": ((1, 2, 3, 4), (0, 0, 0, 0))},
        {"state": (None, (1, 2, 3, 4))},
    ],
)
def test_each_ingredient_makes_other_keys(change: dict[str, Any]) -> None:
    before, after = keys_of(**ASKED), keys_of(**{**ASKED, **change})
    assert before.content != after.content
    assert before.entry != after.entry


def test_another_release_has_other_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys_of(**ASKED)
    monkeypatch.setattr(keys_module, "__version__", "another")
    assert keys_of(**ASKED).content != before.content


def test_the_encoding_makes_another_entry_of_the_same_content() -> None:
    zstd = CachedAs(b"filesdata", MEDIA_TYPE, b"zstd-8mb")
    before, after = keys_of(**ASKED), keys_of(**{**ASKED, "cached_as": zstd})
    assert before.content == after.content
    assert before.entry != after.entry


def test_what_goes_unencoded_is_identity() -> None:
    known = [CachedAs(b"filesdata", MEDIA_TYPE, name) for name in (None, b"identity")]
    assert len({keys_of(**{**ASKED, "cached_as": each}) for each in known}) == 1


def test_the_order_of_keys_and_of_sets_does_not_count() -> None:
    arguments = {b"haveparents": False, b"fields": frozenset({b"revision"})}
    assert keys_of(**{**ASKED, "arguments": arguments}) == keys_of(**ASKED)


def test_arguments_without_a_form_have_no_key() -> None:
    with pytest.raises(UnencodableError):
        keys_of(**{**ASKED, "arguments": {b"nodes": [1.5]}})


def test_files_that_were_changed_a_tick_ago_or_never_are_settled() -> None:
    now = 1_700_000_000_000_000_000
    past = now - 20_000_001
    assert is_settled((), now)
    assert is_settled((None, (1, past, 1, 1)), now)
    assert not is_settled(((1, past + 1, 1, 1), None), now)
    assert not is_settled(((1, now + 1, 1, 1), None), now)


def test_the_time_that_a_program_gave_a_file_does_not_settle_it() -> None:
    # Mercurial sets it to a whole second, ahead, where two changes fall into one.
    now = 1_700_000_000_990_000_000
    for modified in (now + 10_000_000, now - 3_600_000_000_000):
        assert is_settled(((modified, now - 20_000_001, 1, 1),), now)
        assert not is_settled(((modified, now - 20_000_000, 1, 1),), now)
