"""What a command learns of its answer, and answers that are elsewhere or were given before."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

import pytest
from support import peers
from support.responding import FINISHED, Responding, ensure_deferred, make_command
from twisted.internet.defer import Deferred, succeed

from wiredaemon.commands import Followed, Redirect
from wiredaemon.net.cache.keys import CachedAs
from wiredaemon.wire.limits import Limits
from wiredaemon.wire.values import Recorded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

MEDIA_TYPE: Final = b"application/mercurial-exp-framing-0006"
REDIRECT: Final = {b"targets": [b"here"], b"hashes": [b"sha1"]}
SIZE: Final = 1024 * 1024


def ask(run: Responding, name: bytes, *profiles: bytes, **more: object) -> None:
    """Feed one request and the end."""
    if profiles:
        run.receive(*peers.settings_frames(*profiles))
    content = {b"name": name, **{key.encode(): value for key, value in more.items()}}
    run.receive(*peers.map_frames(run.dialect, 1, peers.item(content, canonical=False)))
    run.end()


@pytest.mark.parametrize(
    ("profiles", "encoding"),
    [((), b"identity"), ((b"zlib", b"zstd-8mb"), b"zstd-8mb"), ((b"other",), None)],
)
def test_a_cacheable_command_learns_how_it_is_answered(
    profiles: tuple[bytes, ...], encoding: bytes | None
) -> None:
    learned: list[object] = []

    def kept(context: Any) -> bytes:
        learned.append((context.cached_as, context.followed))
        return b""

    run = Responding("0006", make_command(kept, cacheable=True))
    ask(run, b"kept", *profiles, redirect=REDIRECT)
    followed = Followed(frozenset({b"here"}), frozenset({b"sha1"}))
    assert learned == [(CachedAs(b"kept", MEDIA_TYPE, encoding), followed)]


def test_other_commands_learn_what_their_client_follows_and_no_more() -> None:
    learned: list[object] = []

    def other(context: Any) -> bytes:
        learned.append((context.cached_as, context.followed is None))
        return b""

    for redirect in (REDIRECT, {b"targets": 1}, None):
        run = Responding("0006", make_command(other))
        ask(run, b"other", redirect=redirect)
        assert run.transport.outcomes == [FINISHED]
    assert learned == [(None, False), (None, True), (None, True)]


@pytest.mark.parametrize("dialect", ["0003", "0005"])
def test_earlier_dialects_keep_nothing(dialect: str) -> None:
    learned: list[object] = []

    def kept(context: Any) -> bytes:
        learned.append(context.cached_as)
        return b""

    run = Responding(dialect, make_command(kept, cacheable=True))
    run.ask(1, "kept")
    run.end()
    assert learned == [None]


def located() -> bytes:
    location = {b"url": b"http://x/", b"mediatype": b"application/mercurial-cbor"}
    return peers.item({b"status": b"redirect", b"location": location}, canonical=False)


def returned(_: Any) -> Redirect:
    return Redirect(url=b"http://x/")


def generated(_: Any) -> Iterator[Redirect]:
    yield Redirect(url=b"http://x/")


async def generated_asynchronously(_: Any) -> AsyncIterator[Redirect]:
    yield Redirect(url=b"http://x/")


@pytest.mark.parametrize("function", [returned, generated, generated_asynchronously])
def test_a_command_may_end_with_a_redirect(function: Any) -> None:
    run = Responding("0006", make_command(function))
    run.ask(1, function.__name__)
    run.end()
    assert run.answers[1].content == located()
    assert run.answers[1].error is None


def object_behind(_: Any) -> Iterator[object]:
    yield Redirect(url=b"http://x/")
    yield b"object"


def object_before(_: Any) -> Iterator[object]:
    yield b"object"
    yield Redirect(url=b"http://x/")


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (object_behind, b"object follows alternatelocationresponse"),
        (object_before, b"alternatelocationresponse seen after initial output object"),
    ],
)
def test_a_redirect_is_the_only_object(function: Any, text: bytes) -> None:
    # framing 6.3
    run = Responding("0006", make_command(function))
    run.ask(1, function.__name__)
    run.end()
    error = {b"message": [{b"msg": text}], b"type": b"server"}
    assert run.answers[1].error == peers.item(error, canonical=False)


def recorded(_: Any) -> Iterator[Recorded]:
    content = zlib.compress(bytes(100)) + bytes(SIZE)
    for start in range(0, len(content), SIZE // 4):
        yield Recorded(b"zlib", [content[start : start + SIZE // 4]])


@pytest.mark.parametrize("half_duplex", [True, False])
def test_a_recorded_answer_waits_for_a_slow_reader(*, half_duplex: bool) -> None:
    limits = Limits()
    run = Responding("0006", make_command(recorded), half_duplex=half_duplex, limits=limits)
    run.transport.on_write = run.responder.pauseProducing
    ask(run, b"recorded", b"zlib")
    run.run_turns()
    assert 0 < run.transport.size < 2 * limits.output_high
    while not run.transport.outcomes:
        run.responder.resumeProducing()
        run.run_turns()
    frames = peers.parse_frames(run.transport.wire)
    assert frames[-1].stream_flags == peers.ENCODED | peers.END
    assert sum(len(one.payload) for one in frames[1:]) > SIZE


@ensure_deferred
async def test_objects_may_wait_for_a_tuple() -> None:
    # Python's own anext breaks on it where it has a default (until 3.12).
    waits: Deferred[tuple[int, int]] = Deferred()

    async def waiting(_: Any) -> AsyncIterator[int]:
        first, second = await succeed((1, 2))
        yield first + second
        first, second = await waits
        yield first + second

    run = Responding("0006", make_command(waiting))
    run.ask(1, "waiting")
    run.end()
    waits.callback((3, 4))
    assert run.transport.outcomes == [FINISHED]
    assert run.answers[1].content == run.result(3, 7)
