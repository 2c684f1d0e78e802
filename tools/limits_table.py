"""The table of limits in the documents: ``python -m tools.limits_table > docs/limits.md``.

It is read from the source of `Limits`, so that the document says what the code does;
``tests/docs/test_limits.py`` compares the two.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

_WIRE: Final = Path(__file__).resolve().parents[1] / "wiredaemon" / "wire"
SOURCES: Final = (_WIRE / "raw_limits.py", _WIRE / "json_limits.py", _WIRE / "limits.py")
"""The classes of limits, each on top of the one before."""
_HEAD: Final = """# Limits

Every buffer, count and time that a peer can influence has a limit. Each is a key of `[limits]` in
the configuration; `conf/wiredaemon.toml` says the same in more words. Sizes are bytes, times are
seconds, bounds are inclusive. A peer that crosses one gets an error that names it; those of
connections and requests are counted, and logged once a minute at most.

This table is made by `python -m tools.limits_table` from `wiredaemon/wire/limits.py`.

| key | default | what it bounds |
|---|---|---|
"""


def rows() -> Iterator[tuple[str, str, str]]:
    """Yield the name, the default and the meaning of each limit, in the order of the source."""
    for source in SOURCES:
        yield from _rows_of(source)


def _rows_of(source: Path) -> Iterator[tuple[str, str, str]]:
    defaults = Limits()
    (declared,) = [
        node for node in ast.parse(source.read_text("utf-8")).body if isinstance(node, ast.ClassDef)
    ]
    for field, said in zip(declared.body, declared.body[1:], strict=False):
        match field, said:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(
                value=ast.Constant(value=str(text))
            ):
                yield name, f"{getattr(defaults, name):,}", " ".join(text.split())


def table() -> str:
    """Return the whole document."""
    lines = [f"| `{name}` | {default} | {text} |\n" for name, default, text in rows()]
    return _HEAD + "".join(lines)


if __name__ == "__main__":
    print(table(), end="")
