"""Calls with JSON to the site in memory, and their answers taken apart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from support.web import OPEN, FakeHost, Web, ask, settings_of

from wiredaemon.net.hosting.access import ApiSwitches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wiredaemon.commands import Command
    from wiredaemon.net.hosting.access import AccessRules

ON: Final = ApiSwitches(json=True)
JSON: Final = {"Content-Type": "application/json"}
DATA: Final = {"Content-Type": "application/octet-stream"}
LINES: Final = {"Accept": "application/x-ndjson"}
EVENTS: Final = {"Accept": "text/event-stream"}


class Answer(NamedTuple):
    """One response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> Any:
        """What its JSON says."""
        return json.loads(self.body)

    @property
    def problem(self) -> tuple[int, str]:
        """The status and the detail of a problem document."""
        assert self.headers["Content-Type"] == "application/problem+json"
        said = self.said
        assert said["status"] == self.status
        return self.status, said["detail"]


def json_web(
    commands: Iterable[Command] | None = None, *, access: AccessRules = OPEN, **options: Any
) -> Web:
    """The site in memory, with JSON switched on; by default everybody may do everything."""
    settings = settings_of(access=access, switches=ON)
    return Web(host=FakeHost(commands, settings=settings), **options)


def get(target: str, headers: Mapping[str, str] | None = None) -> bytes:
    """A GET below ``/json``."""
    return ask("GET", f"/json{target}", headers)


def post(target: str, body: object = None, headers: Mapping[str, str] | None = None) -> bytes:
    """A POST below ``/json``: bytes as they are with ``headers``, anything else as JSON."""
    if isinstance(body, bytes):
        content, own = body, {}
    else:
        content, own = json.dumps(body or {}).encode(), JSON
    more = {**own, **(headers or {}), "Content-Length": str(len(content))}
    return ask("POST", f"/json{target}", more) + content


def answer_of(data: bytes) -> Answer:
    """The only response in bytes, its chunks joined."""
    head, _, rest = data.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    headers = dict(field.split(": ", 1) for field in fields)
    if headers.get("Transfer-Encoding") == "chunked":
        rest, end = chunks_of(rest)
        assert end, rest
    return Answer(int(line.split()[1]), headers, rest)


def chunks_of(data: bytes) -> tuple[bytes, bool]:
    """The content of chunks, and whether the last one is among them."""
    content = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        content += data[:length]
        assert data[length : length + 2] == b"\r\n"
        data = data[length + 2 :]
        if not length:
            assert not data
            return content, True
    return content, False
