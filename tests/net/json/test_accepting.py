from __future__ import annotations

from typing import Final

import pytest

from wiredaemon.net.json.accepting import choose

JSON, LINES, EVENTS = b"application/json", b"application/x-ndjson", b"text/event-stream"
OFFERED: Final = [JSON, LINES, EVENTS]


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        (b"", JSON),
        (b" ", JSON),
        (b"*/*", JSON),
        (b"application/json", JSON),
        (b"APPLICATION/X-NDJSON", LINES),
        (b"text/event-stream", EVENTS),
        (b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON),
        (b"application/*", JSON),
        (b"text/*", EVENTS),
        (b"application/json;q=0.5, application/x-ndjson", LINES),
        (b"application/json; q=0.500, text/*; q=0.501", EVENTS),
        (b"application/json;q=0, */*", LINES),
        (b"*/*;q=0.1, text/event-stream;q=0.2", EVENTS),
        (b"application/json;charset=utf-8", JSON),
        (b"application/json;q=1.0,application/x-ndjson", JSON),
        (b"text/html", None),
        (b"application/json;q=0", None),
        (b"*/*;q=0", None),
        (b"application/json;q=2", None),
        (b"application/json;q=nan", None),
        (b"application/json-patch", None),
        (b",;,=,q", None),
    ],
)
def test_what_the_client_likes_best_is_chosen(accept: bytes | None, chosen: bytes | None) -> None:
    assert choose(accept, OFFERED) == chosen
