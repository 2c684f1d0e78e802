from __future__ import annotations

from typing import Final, Literal

import pytest
from sphinx.ext.napoleon.docstring import GoogleDocstring

from tools.site_api import restore_sentence, signature
from wiredaemon.client import Connection
from wiredaemon.commands import Argument, ArgumentType

ROWS: Final = [
    (Argument, "(*, default: Any = _Required.REQUIRED)", "(*, default: Any = REQUIRED)"),
    (Argument, "(*, details: Mapping = <factory>)", "(*, details: Mapping = ...)"),
    (ArgumentType, "(value)", ""),
    (Connection, "(*args, **kwargs)", ""),
    (Argument, None, None),
]


@pytest.mark.parametrize(("of", "arguments", "expected"), ROWS)
def test_arguments_are_shown_as_they_are_written(
    of: type, arguments: str | None, expected: str | None
) -> None:
    assert signature(of, arguments) == expected


@pytest.mark.parametrize("kind", ["attribute", "data", "property"])
def test_the_sentence_of_an_attribute_may_have_a_colon(
    kind: Literal["attribute", "data", "property"],
) -> None:
    sentence = "The server keeps a session: calls are cancelled one by one."
    lines = str(GoogleDocstring(sentence, what=kind, name="it")).splitlines()
    assert lines[0] == "calls are cancelled one by one."
    restore_sentence(kind, lines)
    assert "\n".join(lines).strip() == sentence


def test_docstrings_of_functions_are_left_as_they_are() -> None:
    lines = ["Return it.", "", ":type: of something"]
    restore_sentence("method", lines)
    assert lines == ["Return it.", "", ":type: of something"]
