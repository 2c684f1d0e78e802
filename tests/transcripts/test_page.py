"""The transcripts in the documents are those that the tool prints today."""

from __future__ import annotations

import pytest
from transcripts.page import PAGE, SHOWN, page

from wiredaemon.wire.dialects import DIALECTS


@pytest.fixture(scope="module")
def made() -> str:
    return page()


def test_the_page_is_what_the_tool_prints(made: str) -> None:
    assert PAGE.read_text("utf-8") == made, "make reference"


def test_every_transcript_has_an_answer(made: str) -> None:
    blocks = made.split("```console\n")[1:]
    assert len(blocks) == len(SHOWN)
    assert [block for block in blocks if "s>     HTTP/1.1 " not in block] == []


def test_every_released_dialect_is_shown(made: str) -> None:
    assert [name for name, each in DIALECTS.items() if each.media_type.decode() not in made] == [
        "0004"
    ]
