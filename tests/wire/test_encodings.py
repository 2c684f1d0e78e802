from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wiredaemon.wire.encodings import DECODERS, DEFAULT_OFFER, ENCODERS, Identity, choose_encoding

if TYPE_CHECKING:
    from collections.abc import Container


def test_identity_changes_nothing_and_holds_nothing_back() -> None:
    # framing 12
    encoding = Identity()
    assert encoding.encode(b"data") == b"data"
    assert encoding.flush() == b""
    assert encoding.decode(b"data") == b"data"


def test_each_encoder_has_its_decoder() -> None:
    assert set(ENCODERS) == set(DECODERS)
    for name, make in ENCODERS.items():
        encoder, decoder = make(), DECODERS[name]()
        sent = encoder.encode(b"one") + encoder.encode(b"two") + encoder.flush()
        assert decoder.decode(sent) == b"onetwo"


def test_a_client_that_offers_nothing_is_taken_to_offer_identity() -> None:
    # framing 10
    assert DEFAULT_OFFER == (b"identity",)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([b"identity"], b"identity"),
        ([b"unknown", b"identity"], b"identity"),
        ([b"unknown"], None),
        ([], None),
        ([[], {}, 1, b"identity"], b"identity"),
        (b"..identity..", b"identity"),
        ({b"identity": 1}, b"identity"),
        ({b"identity"}, b"identity"),
    ],
)
def test_the_offer_is_only_tested_for_membership(
    offered: Container[object], chosen: bytes | None
) -> None:
    # server-state-machine 1.6, point 8
    assert choose_encoding(offered) == chosen
