"""``static``: a file that Mercurial's pages use, such as a style sheet.

Where they are is said by ``web.static`` and ``web.templates`` of system and user; by default they
are in the library's own folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.worker.library import ui, webcommands

if TYPE_CHECKING:
    from wiredaemon.wire.values import Value


class _Answer:
    """What the library needs of an answer."""

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.body = b""

    def setbodybytes(self, body: bytes) -> None:
        """Note the content of the file."""
        self.body = body


def static_file(name: object) -> Value:
    """Return type and content of a file; None if there is none, or its path is illegal.

    Args:
        name: Its path, with slashes.
    """
    if not isinstance(name, bytes) or b"\0" in name:
        return None
    settings, answer = ui.ui.load(), _Answer()
    templates, folder = (settings.config(b"web", each) for each in (b"templates", b"static"))
    try:
        webcommands.staticfile(templates, folder, name, answer)
    except webcommands.ErrorResponse:
        return None
    if not answer.headers:
        return None
    return [answer.headers[b"Content-Type"], answer.body]
