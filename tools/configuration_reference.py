"""Every key of the configuration, as a document: ``make reference``.

It is read from ``conf/wiredaemon.toml``, whose keys and defaults tests compare with the code;
``tests/docs/test_references.py`` compares the document with the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wiredaemon.daemon.restart_keys import counts_from_start

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SOURCE: Final = Path(__file__).resolve().parents[1] / "conf" / "wiredaemon.toml"
_HEAD: Final = """# Configuration

The configuration is a TOML file: `wiredaemon init FOLDER` makes one, with each key, its default
and its purpose. A key that is left out has its default. An unknown or wrong key stops the start,
and `wiredaemon check-config FILE` says the same without starting. Relative paths are relative to
the folder of the file. A repository's own hgrc overrides `[api]` and `[web]` for that repository
([hgrc.md](hgrc.md)).

A running daemon reads the file again when it is sent SIGHUP ([operation.md](operation.md#reload));
what is marked "from the next start on" it cannot change. [limits.md](limits.md) has the limits in
fewer words.

These tables are made by `make reference` from [conf/wiredaemon.toml](../conf/wiredaemon.toml).
"""
_TABLE: Final = re.compile(r"\[{1,2}([\w.]+)\]{1,2}")
_KEY: Final = re.compile(r"([\w-]+|\"[^\"]+\") = (.+)")
_OUTSIDE_OF_CODE: Final = re.compile(r"(`[^`]*`)")
_MARKUP: Final = re.compile(r"([*<|])")
_DOCUMENT: Final = re.compile(r"\bdocs/([\w-]+\.md)")


@dataclass(slots=True)
class Key:
    """One key with its default, as they are written."""

    name: str
    default: str
    text: str


@dataclass(slots=True)
class Table:
    """One table of the file with its keys."""

    name: str
    comment: Sequence[str]
    """The lines in front of it, without their ``#``."""
    keys: list[Key] = field(default_factory=list)


def tables(text: str) -> Iterator[Table]:
    """Yield the tables of a documented configuration, in its order.

    A table that is a comment as a whole, because it is an example, is one as well.
    """
    table: Table | None = None
    comment: list[str] = []
    is_example = False
    for line in text.splitlines():
        is_example = line.startswith("# [[") or (is_example and line.startswith("#"))
        said = line[2:] if is_example else line
        if said.startswith("#"):
            comment.append(said[2:])
            continue
        if found := _TABLE.fullmatch(said):
            if table is not None:
                yield table
            table = Table(found[1], comment)
        elif table is not None and (found := _KEY.fullmatch(said)):
            table.keys.append(Key(found[1], found[2], " ".join(comment)))
        comment = []
    if table is not None:
        yield table


def reference(text: str) -> str:
    """Return the whole document for the text of a documented configuration."""
    return _HEAD + "".join(f"\n{part}" for table in tables(text) for part in _section(table))


def _section(table: Table) -> Iterator[str]:
    yield f"## [{table.name}]\n"
    if table.comment:
        yield _prose(table.comment)
    if table.keys:
        rows = [
            f"| `{key.name}` | `{key.default}` | {_meaning(table, key)} |\n" for key in table.keys
        ]
        yield "| key | default | what it is |\n|---|---|---|\n" + "".join(rows)


def _meaning(table: Table, key: Key) -> str:
    of_target = table.name == "redirect.targets"
    from_start = counts_from_start(table.name if of_target else f"{table.name}.{key.name}")
    return _escaped(key.text) + (" *From the next start on.*" if from_start else "")


def _prose(comment: Sequence[str]) -> str:
    """Return a comment as paragraphs; its lines that are indented are code."""
    lines: list[str] = []
    for line in comment:
        is_code, was_code = line.startswith(" "), bool(lines) and lines[-1].startswith("    ")
        if is_code != was_code and lines and lines[-1]:
            lines.append("")
        lines.append(f"    {line.strip()}" if is_code else _escaped(line))
    return "\n".join(lines).strip("\n") + "\n"


def _escaped(text: str) -> str:
    """Return text whose characters stand for themselves in Markdown, but for its code."""
    return "".join(
        part.replace("|", r"\|")
        if part.startswith("`")
        else _DOCUMENT.sub(r"[\1](\1)", _MARKUP.sub(r"\\\1", part))
        for part in _OUTSIDE_OF_CODE.split(text)
    )


if __name__ == "__main__":
    print(reference(SOURCE.read_text("utf-8")), end="")
