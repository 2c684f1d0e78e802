"""The absolute links of pages, feeds and JSON."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LINK: Final = re.compile(r'href="([^"]*)"|<(?:id|guid[^>]*|link)>([^<]*)<')


def fetch(
    host: str,
    port: int,
    target: str,
    headers: Mapping[str, str] | None = None,
    *,
    certificate: Path | None = None,
    method: str = "GET",
) -> tuple[int, str]:
    """Return status and body of a page.

    Args:
        host: The name or address of the server.
        port: Its port.
        target: Path and query.
        headers: More headers.
        certificate: Folder of `write_certificate`, for HTTPS.
        method: The method.
    """
    connection = http.client.HTTPConnection(host, port, timeout=20)
    if certificate is not None:
        context = ssl.create_default_context(cafile=certificate / "ca.pem")
        connection = http.client.HTTPSConnection(host, port, timeout=20, context=context)
    try:
        connection.request(method, target, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    finally:
        connection.close()


def links_in(text: str) -> set[str]:
    """Return the links of a page or feed, and its names that are made as links."""
    return {each for pair in _LINK.findall(text) for each in pair if each}


def archives_in(text: str) -> list[str]:
    """Return the archives of a summary in JSON."""
    return [each["url"] for each in json.loads(text)["archives"]]
