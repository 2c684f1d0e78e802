"""Framed commands over HTTP for tests of a whole daemon, each as one request of dialect 0006."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from support.peers import request_frames
from support.raw_http import post
from support.web import MEDIA, path_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.raw_http import RawConnection

HEADERS: Final = {"Accept": MEDIA["0006"], "Content-Type": MEDIA["0006"]}
PUSHKEY: Final[dict[bytes, object]] = {
    b"namespace": b"bookmarks",
    b"key": b"here",
    b"old": b"",
    b"new": b"0" * 40,
}
"""Arguments of a write that succeeds where hooks let it."""


def send_command(
    connection: RawConnection,
    permission: str,
    name: str,
    arguments: Mapping[bytes, object] | None = None,
) -> None:
    """Send one command, whose answer is not waited for."""
    body = b"".join(request_frames("0006", 1, name.encode(), arguments))
    target = path_of("0006", name, permission)
    connection.send(post(target, connection.authority, HEADERS, body))
