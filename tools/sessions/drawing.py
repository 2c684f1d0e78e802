"""A picture of a terminal, as SVG, and the text that is in one."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from rich.console import Console
from rich.text import Text

from tools.sessions.recording import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

_TEXT: Final = "{http://www.w3.org/2000/svg}text"
# The fonts of rich come from another server, and a picture within a page may load nothing.
_OTHERS: Final = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
_FONTS: Final = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def draw(name: str, title: str, parts: Sequence[tuple[str, str]]) -> str:
    """Draw shell lines, each with what it shows, and return the SVG.

    Args:
        name: Of the picture; its styles are named for it.
        title: In the bar of the window.
        parts: Lines and their output, which may have escapes for colours.
    """
    console = Console(
        record=True,
        width=COLUMNS,
        file=io.StringIO(),
        color_system="truecolor",
        force_terminal=True,
    )
    for place, (line, output) in enumerate(parts):
        if place:
            console.print()
        text = Text.assemble(("$ ", "bold green"), (f"{line}\n", "bold"))
        text.append_text(Text.from_ansi(output.rstrip("\n")))
        for row in text.split("\n"):
            # As terminals do it, wherever a word is.
            for part in row.divide(range(COLUMNS, len(row), COLUMNS)):
                console.print(part)
    made = _OTHERS.sub("", console.export_svg(title=title, unique_id=name))
    made = made.replace("Fira Code, monospace", _FONTS)
    return "\n".join(line.rstrip() for line in made.splitlines()) + "\n"


def texts_of(picture: str) -> list[str]:
    """Return the texts of a picture in their order, but for space; those of a line may be many."""
    root = ET.fromstring(picture)  # noqa: S314 made by ourselves
    found = ("".join(text.itertext()) for text in root.iter(_TEXT))
    return [text.replace("\xa0", " ") for text in found if text.strip()]
