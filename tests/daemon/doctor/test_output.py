from __future__ import annotations

import io
import json

import pytest

from wiredaemon.daemon.doctor.finding import error, fine, warning
from wiredaemon.daemon.doctor.output import has_colours, write_json, write_text

FINDINGS = [
    fine("a", "good"),
    warning("b", "bad \x1b[2J", "do this"),
    error("c", "worst", "do that"),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_people_see_each_finding_with_its_remedy_and_a_count() -> None:
    output = io.StringIO()
    write_text(FINDINGS, output, colours=False)
    assert output.getvalue() == (
        "ok      a: good\n"
        "warning b: bad \\x1b[2J\n"
        "        -> do this\n"
        "error   c: worst\n"
        "        -> do that\n"
        "1 error, 1 warning, 1 fine\n"
    )


def test_levels_are_coloured_and_nothing_else() -> None:
    output = io.StringIO()
    write_text(FINDINGS[:1], output, colours=True)
    assert output.getvalue().startswith("\x1b[32mok     \x1b[0m a: good\n")


def test_programs_read_an_object_on_each_line() -> None:
    output = io.StringIO()
    write_json(FINDINGS, output)
    assert [json.loads(line) for line in output.getvalue().splitlines()] == [
        {"level": "ok", "area": "a", "text": "good", "remedy": ""},
        {"level": "warning", "area": "b", "text": "bad \x1b[2J", "remedy": "do this"},
        {"level": "error", "area": "c", "text": "worst", "remedy": "do that"},
    ]


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colours_are_for_terminals_that_want_them(
    environment: dict[str, str], *, wanted: bool
) -> None:
    assert has_colours(Terminal(), environment) is wanted
    assert has_colours(io.StringIO(), environment) is False
