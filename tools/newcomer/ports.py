"""Ports of a page's servers: the only words of a page that are not taken as they stand."""

from __future__ import annotations

import random
import re
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NAMED: Final = re.compile(r"(?:tcp|127\.0\.0\.1|localhost):(\d{4,5})\b")
"""Where a page names a port: in an endpoint, or in a URL of this machine."""

_RANGE: Final = range(10_000, 32_000)
"""Below those that Linux gives to clients, so that none takes one between the check and its use."""


def own_ports(texts: Iterable[str]) -> dict[str, str]:
    """A free port of this machine for each that the texts of a page name."""
    named = sorted({port for text in texts for port in _NAMED.findall(text)})
    free: list[str] = []
    while len(free) < len(named):
        port = random.choice(_RANGE)  # noqa: S311 no secret
        if str(port) not in free and _is_free(port):
            free.append(str(port))
    return dict(zip(named, free, strict=True))


def replaced(text: str, ports: Mapping[str, str]) -> str:
    """A text with other ports."""
    return re.sub(r"(?<=:)\d{4,5}\b", lambda found: ports.get(found[0], found[0]), text)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
