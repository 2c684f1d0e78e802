"""The messages of the log, as a document: ``make reference``.

It is read from the calls of loggers in the source; ``tests/docs/test_references.py`` compares the
document with them.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGE: Final = Path(__file__).resolve().parents[1] / "wiredaemon"
_PARTS: Final = {
    "daemon": "Start, stop and configuration",
    "accounts": "Logins",
    "net": "Connections, requests and workers",
}
"""The packages whose modules run in the daemon, and what their lines are about."""
_LEVELS: Final = {"failure": "critical"}
"""The levels of methods that are named otherwise."""
_HEAD: Final = """# Log messages

What the daemon writes to its log, for people who watch one, and for programs that look for
lines; its figures are [metrics](metrics.md). A line has a time, the place that it comes from with
its level, and one of these texts, in which words in braces stand for what differs:

    2026-01-31T12:00:00+0000 [wiredaemon.daemon.service#info] wiredaemon is ready

Lines that peers can cause are counted where they repeat, so that a minute has a few of each kind at
most. `critical` is a fault of the daemon or of a command, mostly with a traceback. `wiredaemon
serve` logs to standard output, `twistd` as [Operation](operation.md#logs) says. Requests have lines
only where `[log] requests` asks for them.

This page is made by `make reference` of the calls in the code.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One call of a logger."""

    module: str
    level: str
    text: str


def messages(part: str) -> Iterator[Message]:
    """Yield the messages of a package; those that are nothing but a field say nothing here."""
    for file in sorted((_PACKAGE / part).rglob("*.py")):
        module = ".".join(file.relative_to(_PACKAGE.parent).with_suffix("").parts)
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(
                        value=ast.Name(id="_log") | ast.Attribute(attr="_log"), attr=level
                    ),
                    args=[ast.Constant(value=str()) | ast.Name() as first, *_],
                ):
                    text = _text(module, first)
                    if text and not text.startswith((" ", "{line}", "{warning}")):
                        yield Message(module=module, level=_LEVELS.get(level, level), text=text)


def _text(module: str, argument: ast.Constant | ast.Name) -> str:
    """Return the text of an argument; an empty one for a variable: then it is no logger's."""
    if isinstance(argument, ast.Name):
        return str(getattr(import_module(module), argument.id, ""))
    return str(argument.value)


def document() -> str:
    """Return the whole document."""
    return _HEAD + "".join(_section(title, part) for part, title in _PARTS.items())


def _section(title: str, part: str) -> str:
    rows = "".join(
        f"| {each.level} | {each.text.replace('|', chr(92) + '|')} | `{each.module}` |\n"
        for each in messages(part)
    )
    return f"\n## {title}\n\n| level | message | from |\n|---|---|---|\n{rows}"


if __name__ == "__main__":
    print(document(), end="")
