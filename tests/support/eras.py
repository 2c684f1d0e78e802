"""The eras over HTTP: parameters, a request that works in each, and the frames that answer it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from support.web import (
    API,
    FakeHost,
    requests,
    settings_of,
)
from twisted.logger import LogLevel

from wiredaemon.commands.declaration import MARK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.commands import (
        Command,
    )
    from wiredaemon.net.hosting.access import AccessRules, ApiSwitches

ERAS: Final = pytest.mark.parametrize("era", API)
MAPS: Final = pytest.mark.parametrize("era", ["0003", "0005", "0006"])
TEXTS: Final = pytest.mark.parametrize("era", ["0003", "0005"])

READ: Final[dict[str, tuple[bytes, ...]]] = {
    "0002": (b"\x1d\x00\x00\x01\x00\x02\x01Bcustomreadonly bytes response",),
    "0003": (b"\x1d\x00\x00\x01\x00\x02\x01Bcustomreadonly bytes response",),
    "0005": (b"\x2a\x00\x00\x01\x00\x02\x012\xa1FstatusBokX\x1dcustomreadonly bytes response",),
    "0006": (
        b"\x09\x00\x00\x01\x00\x02\x01\x92Hidentity",
        b"\x0b\x00\x00\x01\x00\x02\x041\xa1FstatusBok",
        b"\x1f\x00\x00\x01\x00\x02\x041X\x1dcustomreadonly bytes response",
        b"\x00\x00\x00\x01\x00\x02\x002",
    ),
}
"""Request 1, `customreadonly`: http, section 6.5."""

READ_3: Final[dict[str, tuple[bytes, ...]]] = {
    "0002": (b"\x1d\x00\x00\x03\x00\x02\x01Bcustomreadonly bytes response",),
    "0003": (b"\x1d\x00\x00\x03\x00\x02\x00Bcustomreadonly bytes response",),
    "0005": (b"\x2a\x00\x00\x03\x00\x02\x002\xa1FstatusBokX\x1dcustomreadonly bytes response",),
    "0006": (
        b"\x0b\x00\x00\x03\x00\x02\x041\xa1FstatusBok",
        b"\x1f\x00\x00\x03\x00\x02\x041X\x1dcustomreadonly bytes response",
        b"\x00\x00\x00\x03\x00\x02\x002",
    ),
}
"""Request 3 behind it."""

ONE: Final = {era: requests(era, b"customreadonly") for era in API}
"""A request that works."""


def marked(*functions: object) -> list[Command]:
    return [getattr(function, MARK) for function in functions]


def host_of(access: AccessRules | None = None, *, switches: ApiSwitches | None = None) -> FakeHost:
    if access is None:
        return FakeHost(settings=settings_of(switches=switches))
    return FakeHost(settings=settings_of(access=access, switches=switches))


def error_events(events: Sequence[Any]) -> list[Any]:
    return [event for event in events if event["log_level"] >= LogLevel.error]


def error_map_of(message: bytes, *arguments: bytes, era: str) -> bytes:
    """The payload of an error status map (framing 6.2, 6.3), from its bytes alone."""

    def text(value: bytes) -> bytes:
        head = bytes([0x40 + len(value)]) if len(value) < 24 else b"\x58" + bytes([len(value)])
        return head + value

    args = b"Dargs" + bytes([0x80 + len(arguments)]) + b"".join(map(text, arguments))
    inner = b"\xa1" if not arguments else b"\xa2" + args
    error = b"Eerror" + inner + b"Gmessage" + text(message)
    assert era in {"0005", "0006"}
    return b"\xa2" + error + b"FstatusEerror"


INDEX: Final = b"APIs can be accessed at /api/<name>, where <name> can be one of the following:\n\n"
