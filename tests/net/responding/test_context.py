"""What commands are given, and what they say beside their results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from support import peers
from support.responding import Responding, make_command, make_origin

from wiredaemon.commands import Permission
from wiredaemon.commands.registry import Registry
from wiredaemon.net.responding.command_data import IncomingData
from wiredaemon.net.responding.context import CommandContext, Origin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wiredaemon.commands import Peer

TEXT: Final = peers.item([{b"msg": b"%s of %s\n", b"args": [b"1", b"2"]}], canonical=False)
PROGRESS: Final = peers.item({b"topic": b"files", b"pos": 1, b"total": 2}, canonical=False)


def talkative(context: Any) -> Iterator[bytes]:
    context.write_text("%s of %s\n", "1", "2")
    context.progress("files", 1, 2)
    yield b"done"


def asked(accepts: object, dialect: str = "0006") -> list[peers.WireFrame]:
    """Run the command for a peer that says what it takes; give all frames."""
    run = Responding(dialect, make_command(talkative), half_duplex=False)
    content: dict[bytes, object] = {b"name": b"talkative"}
    if accepts is not None:
        content[b"accepts"] = accepts
    encoded = peers.item(content, canonical=dialect != "0006")
    run.receive(*peers.map_frames(dialect, 1, encoded))
    return peers.parse_frames(run.transport.wire)


def beside(frames: list[peers.WireFrame]) -> list[tuple[int, bytes]]:
    return [(one.type_number, one.payload) for one in frames if one.type_number in {6, 7}]


@pytest.mark.parametrize("accepts", [None, [], True, b"text-output", [b"other"]])
def test_mercurials_clients_are_never_sent_what_they_hang_on(accepts: object) -> None:
    assert beside(asked(accepts)) == []


def test_who_takes_text_and_progress_gets_them_before_the_objects() -> None:
    frames = asked([b"text-output", b"progress"])
    assert [one.type_number for one in frames] == [6, 7, 9, 3, 3, 3]
    assert beside(frames) == [(6, TEXT), (7, PROGRESS)]


def test_who_takes_only_one_of_them_gets_only_that() -> None:
    assert beside(asked([b"text-output"])) == [(6, TEXT)]
    assert beside(asked([b"progress"])) == [(7, PROGRESS)]


def test_earlier_dialects_with_maps_have_them_too() -> None:
    assert [number for number, _ in beside(asked([b"text-output", b"progress"], "0003"))] == [6, 7]


def test_a_command_that_only_reads_asks_for_the_repository_as_a_reader() -> None:
    granted: list[Permission] = []

    class Host:
        registry = Registry()
        has_repository = False
        bundles = None
        state = "the program's"
        reactor: Any = "its reactor"

        def settings(self) -> Any:
            raise AssertionError

        known_settings = settings

        def repository(self, peer: Peer, permission: Permission) -> Any:
            assert peer.user is None
            granted.append(permission)

    known = make_origin("0006")
    origin = Origin(
        host=Host(),
        settings=known.settings,
        framings=known.framings,
        dialect=known.dialect,
        peer=known.peer,
        permission=Permission.RW,
    )
    for needs in Permission:
        context = CommandContext(origin, IncomingData(lambda: None), needs)
        _ = context.repository
        assert (context.state, context.reactor) == ("the program's", "its reactor")
        assert context.permission is Permission.RW
    assert granted == [Permission.RO, Permission.RW]
