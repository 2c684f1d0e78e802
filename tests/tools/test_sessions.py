"""The pictures of terminals in the documents show what the tools print now."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest
from support.environment import ROOT

from tools.sessions.__main__ import PICTURES, SESSIONS, pictures, serving
from tools.sessions.drawing import draw, texts_of
from tools.sessions.recording import COLUMNS, Line, Place

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DIFFERING: Final = re.compile(r"\d[\d,.]*( [GMT]iB)?|TLS_\w+|\s+")
"""Figures, a cipher, and the space that fills up columns of figures."""


def lasting(picture: str) -> list[str]:
    """The texts of a picture without what differs from run to run, nor rows of a histogram."""
    texts = (DIFFERING.sub("~", text) for text in texts_of(picture))
    return [text for text in texts if "up~to" not in text]


@pytest.fixture(scope="module")
def now(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    with serving(tmp_path_factory.mktemp("sessions")) as place:
        return dict(pictures(place))


@pytest.mark.parametrize("name", SESSIONS)
def test_a_picture_shows_what_is_printed_now(now: Mapping[str, str], name: str) -> None:
    committed = (PICTURES / f"{name}.svg").read_text("utf-8")
    assert lasting(now[name]) == lasting(committed), "make sessions"


def test_a_document_shows_each_picture_and_there_is_no_other() -> None:
    documents = (file.read_text("utf-8") for file in (ROOT / "docs").glob("*.md"))
    shown = [name for text in documents for name in re.findall(r"\(sessions/(\w+)\.svg\)", text)]
    assert sorted(shown) == sorted(SESSIONS) == sorted(file.stem for file in PICTURES.iterdir())


@pytest.mark.parametrize("name", SESSIONS)
def test_a_picture_tells_nothing_of_this_machine_and_loads_nothing(name: str) -> None:
    picture = (PICTURES / f"{name}.svg").read_text("utf-8")
    assert "/srv/wiredaemon" in picture or name != "doctor"
    assert re.findall(r"/(?:home|root|work)/|url\((?!#)|(?:href|src)=", picture) == []


def place(folder: Path) -> Place:
    shown = {"secret": "shown"}
    return Place(folder=folder, variables={"PATH": "/usr/bin:/bin"}, shown=shown)


def test_a_line_runs_on_a_terminal_and_shows_another_machine(tmp_path: Path) -> None:
    line = Line(words="test -t 1 && echo shown is secret; stty size")
    assert place(tmp_path).record(line) == f"shown is shown\n60 {COLUMNS}\n"


def test_a_bar_is_shown_as_it_is_when_the_line_is_interrupted(tmp_path: Path) -> None:
    bar = r"printf 'one\n[=> ]\r\033[K[==>]'; sleep 1000; echo never"
    assert place(tmp_path).record(Line(words=bar, until="[==>]")) == "one\n[==>]"


def test_colours_and_long_lines_are_as_on_a_terminal() -> None:
    picture = draw("a", "Title", [("cat a", f"\x1b[31mred\x1b[0m\n{'x' * COLUMNS}yy")])
    assert texts_of(picture) == ["Title", "$ ", "cat a", "red", "x" * COLUMNS, "yy"]
    (red,) = re.findall(r'<text class="(a-r\d)"[^>]*>red<', picture)
    assert f".{red} {{ fill: #cc555a }}" in picture
