from __future__ import annotations

import tracemalloc
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiredaemon.wire.encodings import (
    DECODED_STEP,
    DECODERS,
    DEFAULT_OFFER,
    ENCODERS,
    LARGEST_WINDOW,
    ContentError,
    Identity,
    IdentityDecoder,
    ZlibDecoder,
    ZlibEncoder,
    ZstdDecoder,
    ZstdEncoder,
    choose_encoding,
)

if TYPE_CHECKING:
    from collections.abc import Container

    from wiredaemon.wire.encodings import ContentDecoder, ContentEncoder

OK: Final = b"\xa1FstatusBok"
PROFILES: Final = (b"zstd-8mb", b"zlib", b"identity")
MIB: Final = 1 << 20


def read_all(decoder: ContentDecoder) -> bytes:
    """Read until nothing is pending, each time no more than a step."""
    read = []
    while decoder.pending:
        data = decoder.read()
        assert len(data) <= DECODED_STEP
        read.append(data)
    assert decoder.read() == b""
    return b"".join(read)


def decoded(decoder: ContentDecoder, *pieces: bytes) -> bytes:
    read = b""
    for piece in pieces:
        decoder.feed(piece)
        read += read_all(decoder)
    return read


def cuts(data: bytes, places: list[int]) -> list[bytes]:
    ordered = sorted(min(place, len(data)) for place in places)
    return [data[start:end] for start, end in pairwise([0, *ordered, len(data)])]


def zeros(encoder: ContentEncoder, mebibytes: int) -> bytes:
    """Encode so many mebibytes of zeros."""
    piece = bytes(MIB)
    return b"".join([*(encoder.encode(piece) for _ in range(mebibytes)), encoder.flush()])


# --- encoders ----------------------------------------------------------------------------------


def test_identity_changes_nothing_and_holds_nothing_back() -> None:
    # framing 12
    encoder = Identity()
    assert encoder.encode(b"data") == b"data"
    assert encoder.flush() == b""


def test_zlib_gives_its_header_at_once_and_small_pieces_at_the_flush() -> None:
    # framing 12, observed zlib example: `x\x9c`, then 23 bytes that end with 00 00 ff ff.
    # The block is worked out from RFC 1951: fixed codes, literals only.
    encoder = ZlibEncoder()
    assert encoder.encode(OK) == b"x\x9c"
    assert [encoder.encode(b"Cabc"), encoder.encode(b"Ad")] == [b"", b""]
    sent = encoder.flush()
    assert sent == fixed_block(OK + b"CabcAd") + b"\x00\x00\xff\xff"
    assert sent == b"Z\xe8V\\\x92XRZ\xec\x94\x9f\xed\x9c\x98\x94\xec\x98\x02\x00\x00\x00\xff\xff"
    assert len(sent) == 23


def fixed_block(literals: bytes) -> bytes:
    """Write a block of fixed codes that is not the last, and begin an empty stored block.

    Source: RFC 1951, sections 3.2.3, 3.2.4 and 3.2.6.
    """
    bits = "010"  # not the last block; type 01, its low bit first
    for literal in literals:
        bits += f"{literal + 48:08b}" if literal < 144 else f"{literal + 256:09b}"
    bits += "0000000" + "000"  # end of block; a stored block, not the last
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits), 8))


def test_a_second_command_goes_on_in_the_same_zlib_stream() -> None:
    # framing 12: "the second command's frames contain no zlib header"
    encoder = ZlibEncoder()
    first = encoder.encode(OK) + encoder.flush()
    second = encoder.encode(OK) + encoder.flush()
    assert first == b"x\x9c" + fixed_block(OK) + b"\x00\x00\xff\xff"
    assert not second.startswith(b"x\x9c")
    assert second.endswith(b"\x00\x00\xff\xff")
    assert len(second) < len(first)  # it refers to what the first said
    assert zlib.decompressobj().decompress(first + second) == OK + OK


def test_a_zlib_flush_behind_a_flush_gives_nothing_but_the_first_gives_the_header() -> None:
    encoder = ZlibEncoder()
    assert encoder.flush() == b"x\x9c\x00\x00\x00\xff\xff"
    assert encoder.flush() == b""
    assert encoder.encode(b"a") == b""
    assert encoder.flush() != b""
    assert encoder.flush() == b""


def test_zstd_gives_small_pieces_at_the_flush_as_a_block_of_a_frame_that_goes_on() -> None:
    # RFC 8878 3.1.1: magic, descriptor 0 (no content size, no checksum), window descriptor 40
    # (256 KiB); then a block header: size << 3, type raw, not the last block.
    encoder = ZstdEncoder()
    assert [encoder.encode(OK), encoder.encode(b"\x01")] == [b"", b""]
    assert encoder.flush() == b"\x28\xb5\x2f\xfd\x00\x40" + b"\x60\x00\x00" + OK + b"\x01"
    assert encoder.encode(b"abc") == b""
    assert encoder.flush() == b"\x18\x00\x00abc"


def test_a_zstd_flush_with_nothing_held_back_gives_nothing_even_at_first() -> None:
    encoder = ZstdEncoder()
    assert [encoder.flush(), encoder.flush()] == [b"", b""]
    encoder.encode(b"a")
    assert encoder.flush().startswith(b"\x28\xb5\x2f\xfd")
    assert encoder.flush() == b""


def test_the_window_of_a_zstd_encoder_is_allowed_by_the_profile() -> None:
    sent = zeros(ZstdEncoder(), 40)
    exponent, mantissa = sent[5] >> 3, sent[5] & 7
    assert (1 << 10 + exponent) * (8 + mantissa) // 8 <= LARGEST_WINDOW


# --- decoders ----------------------------------------------------------------------------------


def test_each_encoder_has_its_decoder() -> None:
    assert tuple(ENCODERS) == PROFILES
    assert tuple(DECODERS) == PROFILES


@pytest.mark.parametrize("profile", PROFILES)
def test_what_was_encoded_is_decoded_at_each_flush_however_it_is_cut(profile: bytes) -> None:
    encoder = ENCODERS[profile]()
    first = encoder.encode(OK) + encoder.encode(b"one") + encoder.flush()
    second = encoder.encode(b"two" * 20) + encoder.flush()
    assert decoded(DECODERS[profile](), first) == OK + b"one"
    assert decoded(DECODERS[profile](), first, second) == OK + b"one" + b"two" * 20
    sent = first + second
    for place in range(len(sent) + 1):
        pieces = decoded(DECODERS[profile](), sent[:place], sent[place:])
        assert pieces == OK + b"one" + b"two" * 20
    single = [bytes([byte]) for byte in sent]
    assert decoded(DECODERS[profile](), *single) == OK + b"one" + b"two" * 20


@given(
    st.sampled_from(PROFILES),
    st.lists(st.binary(max_size=200) | st.integers(0, 300_000).map(bytes), max_size=6),
    st.lists(st.integers(0, 5000), max_size=8),
    st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_a_round_trip_gives_what_was_encoded(
    profile: bytes, pieces: list[bytes], places: list[int], flushed: list[bool]
) -> None:
    encoder = ENCODERS[profile]()
    sent = b""
    for piece, flush in zip(pieces, flushed, strict=False):
        sent += encoder.encode(piece)
        sent += encoder.flush() if flush else b""
    sent += encoder.flush()
    assert decoded(DECODERS[profile](), *cuts(sent, places)) == b"".join(pieces)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("size", [DECODED_STEP - 1, DECODED_STEP, DECODED_STEP + 1, 131072])
def test_content_about_a_step_is_read_to_its_end(profile: bytes, size: int) -> None:
    encoder, decoder = ENCODERS[profile](), DECODERS[profile]()
    sent = encoder.encode(bytes(size)) + encoder.flush()
    assert decoded(decoder, sent) == bytes(size)
    assert not decoder.pending


@pytest.mark.parametrize("profile", PROFILES)
def test_nothing_is_pending_before_bytes_are_fed(profile: bytes) -> None:
    decoder = DECODERS[profile]()
    assert (decoder.pending, decoder.read(), decoder.pending) == (False, b"", False)
    decoder.feed(b"")
    assert (decoder.pending, decoder.read()) == (False, b"")


def test_bytes_fed_before_the_last_were_read_come_behind_them() -> None:
    for profile in PROFILES:
        encoder, decoder = ENCODERS[profile](), DECODERS[profile]()
        decoder.feed(encoder.encode(bytes(200_000)) + encoder.flush())
        first = decoder.read()
        decoder.feed(encoder.encode(b"end") + encoder.flush())
        assert first + read_all(decoder) == bytes(200_000) + b"end"


@pytest.mark.parametrize(
    ("encoder", "decoder", "at_most"),
    [(ZstdEncoder(), ZstdDecoder(), 1_400), (ZlibEncoder(), ZlibDecoder(), 34_000)],
)
def test_a_bomb_is_decoded_a_step_at_a_time(
    encoder: ContentEncoder, decoder: ContentDecoder, at_most: int
) -> None:
    bomb = zeros(encoder, 32)
    assert len(bomb) < at_most
    decoder.feed(bomb)
    size = 0
    tracemalloc.start()
    try:
        while decoder.pending:
            data = decoder.read()
            assert len(data) <= DECODED_STEP
            size += len(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size == 32 * MIB
    assert peak < 12 * MIB  # the window of zstd is 2 MiB here


FRAME_ASKING_FOR: Final = {
    # RFC 8878 3.1.1.1.2: (exponent << 3 | mantissa), 2 ** (10 + exponent) * (1 + mantissa / 8)
    8 * MIB: 13 << 3,
    9 * MIB: 13 << 3 | 1,
    16 * MIB: 14 << 3,
    128 * MIB: 17 << 3,
}
RAW_BLOCK: Final = b"\x18\x00\x00abc"


def zstd_frame(window: int) -> bytes:
    return b"\x28\xb5\x2f\xfd\x00" + bytes([FRAME_ASKING_FOR[window]]) + RAW_BLOCK


def test_a_window_of_8_mib_is_accepted() -> None:
    # framing 12: "Decoders must allow windows up to 8 MiB and should refuse larger"
    assert decoded(ZstdDecoder(), zstd_frame(8 * MIB)) == b"abc"


@pytest.mark.parametrize("window", [9 * MIB, 16 * MIB, 128 * MIB])
def test_a_larger_window_is_refused(window: int) -> None:
    text = (
        "content is not in the encoding zstd-8mb, whose window is at most 8388608 bytes: .*"
        "requires too much memory"
    )
    with pytest.raises(ContentError, match=text):
        decoded(ZstdDecoder(), zstd_frame(window))


def test_a_window_as_large_as_the_content_is_refused_where_that_is_too_large() -> None:
    # RFC 8878 3.1.1.1.1.2: a "single segment" has no window descriptor but a content size
    size = (32 * MIB).to_bytes(4, "little")
    with pytest.raises(ContentError, match="requires too much memory"):
        decoded(ZstdDecoder(), b"\x28\xb5\x2f\xfd\xa0" + size + RAW_BLOCK)


def test_a_declared_size_of_the_content_makes_no_room() -> None:
    # reliability 2, "Cap bypass by declared size"; descriptor c0: content size in 8 octets
    size = (1 << 62).to_bytes(8, "little")
    decoder = ZstdDecoder()
    run_of_zeros = b"\x02\x00\x10\x00"  # RLE block of 128 KiB
    decoder.feed(b"\x28\xb5\x2f\xfd\xc0\x58" + size + run_of_zeros * 2)
    tracemalloc.start()
    try:
        first = decoder.read()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(first), peak < 12 * MIB) == (DECODED_STEP, True)
    assert first + read_all(decoder) == bytes(4 * DECODED_STEP)


@pytest.mark.parametrize(
    ("decoder", "sent", "text"),
    [
        (ZlibDecoder, b"no zlib", "content is not in the encoding zlib: .*incorrect header check"),
        (ZlibDecoder, b"x\x9c\x07", "content is not in the encoding zlib: .*invalid block type"),
        (ZlibDecoder, b"x\xbb\0\0\0\1", "content is not in the encoding zlib: .*Error 2"),
        (ZlibDecoder, zlib.compress(b"a")[:-1] + b"!", "incorrect data check"),
        (ZstdDecoder, b"no zstd...", "content is not in the encoding zstd-8mb.*frame descriptor"),
        (ZstdDecoder, zstd_frame(8 * MIB) + b"\x06\0\0", "content is not in the encoding zstd-8mb"),
    ],
)
def test_corrupt_content_is_refused(decoder: type[ContentDecoder], sent: bytes, text: str) -> None:
    with pytest.raises(ContentError, match=text):
        decoded(decoder(), sent)
    with pytest.raises(ContentError, match=text):
        decoded(decoder(), *(bytes([byte]) for byte in sent))


ENDED: Final[dict[str, tuple[type[ZlibDecoder | ZstdDecoder], bytes]]] = {
    "zlib": (ZlibDecoder, zlib.compress(b"abc")),
    "zstd-8mb": (ZstdDecoder, b"\x28\xb5\x2f\xfd\x00\x58\x19\x00\x00abc"),
}


@pytest.mark.parametrize("name", ENDED)
def test_a_stream_may_end_but_nothing_may_follow_its_end(name: str) -> None:
    make, sent = ENDED[name]
    text = f"content goes on after the end of its {name} stream"
    for place in range(len(sent) + 1):
        decoder = make()
        assert decoded(decoder, sent[:place], sent[place:], b"") == b"abc"
        with pytest.raises(ContentError, match=text):
            decoded(decoder, sent)
    with pytest.raises(ContentError, match=text):
        decoded(make(), sent + b"\0")


@pytest.mark.parametrize("steps", [0, 1, 2])
@pytest.mark.parametrize("cut", [0, 4], ids=["whole", "its checksum apart"])
def test_nothing_is_pending_behind_a_zlib_stream_that_ends_with_a_full_step(
    steps: int, cut: int
) -> None:
    sent = zlib.compress(bytes(steps * DECODED_STEP))
    decoder = ZlibDecoder()
    size = 0
    for part in (sent[: len(sent) - cut], sent[len(sent) - cut :]):
        decoder.feed(part)
        # Two reads more than there are steps, and never a loop without end.
        for _ in range(steps + 2):
            size += len(decoder.read())
            if not decoder.pending:
                break
    assert (size, decoder.pending) == (steps * DECODED_STEP, False)


def test_a_skippable_zstd_frame_counts_as_the_only_one() -> None:
    # RFC 8878 3.1.2
    skipped = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
    with pytest.raises(ContentError, match="goes on after the end"):
        decoded(ZstdDecoder(), skipped + zstd_frame(8 * MIB))


def test_identity_gives_what_it_was_fed_in_steps() -> None:
    decoder = IdentityDecoder()
    decoder.feed(bytes(DECODED_STEP))
    decoder.feed(b"abc")
    assert [decoder.read(), decoder.pending, decoder.read(), decoder.pending] == [
        bytes(DECODED_STEP),
        True,
        b"abc",
        False,
    ]


# --- the choice --------------------------------------------------------------------------------


def test_a_client_that_offers_nothing_is_taken_to_offer_identity() -> None:
    # framing 10
    assert DEFAULT_OFFER == (b"identity",)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([b"identity"], b"identity"),
        ([b"identity", b"zlib"], b"zlib"),
        ([b"identity", b"zlib", b"zstd-8mb"], b"zstd-8mb"),
        ([b"unknown", b"identity"], b"identity"),
        ([b"unknown"], None),
        ([], None),
        ([[], {}, 1, b"identity"], b"identity"),
        (b"..identity..", b"identity"),
        (b"..zlib..", b"zlib"),
        ({b"identity": 1}, b"identity"),
        ({b"identity"}, b"identity"),
    ],
)
def test_the_offer_is_only_tested_for_membership(
    offered: Container[object], chosen: bytes | None
) -> None:
    # server-state-machine 1.6, point 8; framing 12, "client order is irrelevant"
    assert choose_encoding(offered) == chosen
